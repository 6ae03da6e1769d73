"""Twenty questions for comparing greedy answers."""

QUESTIONS = (
    "Why is the sky blue?",
    "What is the capital of France, and what is it known for?",
    "Write a haiku about rain.",
    "Explain photosynthesis to a child.",
    "List three uses of copper.",
    "How do I boil an egg?",
    "What is 17 plus 25?",
    "Name the planets of the solar system in order.",
    "Summarise the story of Romeo and Juliet in two sentences.",
    "What does HTTP stand for?",
    "Give me a recipe for pancakes.",
    "Why do leaves change colour in autumn?",
    "Write a Python function that reverses a string.",
    "Who wrote Hamlet?",
    "What is the difference between weather and climate?",
    "Translate 'good morning' into Spanish.",
    "How does a bicycle stay upright?",
    "What are the primary colours?",
    "Write a short letter thanking a neighbour.",
    "What causes tides?",
)
