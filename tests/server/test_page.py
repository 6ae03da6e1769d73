"""The page at /, in a real browser: it streams, stops, counts, and can be attacked by nobody."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from served import Served, serving

from needed import chromium

pytestmark = pytest.mark.needs("chromium")
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server: Served):
    """The page, loaded; anything it complains of or asks elsewhere fails the test."""
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if is_ours(said) else None)
    page.on("request", lambda asked: faults.append(asked.url) if foreign(asked.url, server) else 0)
    page.goto(server.url)
    yield page
    context.close()
    assert not faults


def is_ours(said) -> bool:
    """Chromium itself notes every answer that is no 200."""
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def foreign(url: str, server: Served) -> bool:
    return not url.startswith((server.url, "data:"))


def ask(page: Page, text: str, longest: int | None = 20) -> None:
    if longest:
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Longest answer").fill(str(longest))
        page.get_by_role("button", name="Save").click()
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def answers(page: Page):
    return page.get_by_role("article", name="Answer")


def test_it_answers_and_counts_the_cost(page):
    expect(page.locator("#model")).to_contain_text("toy")
    ask(page, "Hello")
    bill = answers(page).locator(".bill")
    expect(bill).to_contain_text(re.compile(r"\$0\.0\d+.* tokens?.*first after"))
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    cost = bill.locator(".cost").inner_text()
    expect(page.locator("#total")).to_have_text(cost)

    ask(page, "And more", longest=None)
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#total")).not_to_have_text(cost)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#total")).to_have_text("$0")
    expect(page.get_by_text("Ask it something.")).to_be_visible()


def test_escape_stops_an_answer_and_the_engine(page, server):
    page.route("**/chat/completions", lambda route: route.continue_(post_data=endless(route)))
    ask(page, "Never stop", longest=None)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(answers(page).locator(".bill")).to_contain_text("tokens/s")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(answers(page).locator(".bill")).to_contain_text("stopped")
    expect(answers(page).get_by_role("alert")).to_have_count(0)
    for _ in range(200):
        if not server.counters()["vllm:num_requests_running"]:
            return
    pytest.fail("the engine still works on it")


def test_an_answer_under_way_stays_out_of_a_new_conversation(page):
    page.route("**/chat/completions", lambda route: route.continue_(post_data=endless(route)))
    ask(page, "Never stop", longest=None)
    expect(answers(page).locator(".bill")).to_contain_text("tokens/s")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.locator("#total")).to_have_text("$0")
    page.unroute_all()
    with page.expect_request("**/chat/completions") as asked:
        ask(page, "Hello", longest=None)
    assert [said["content"] for said in asked.value.post_data_json["messages"]] == ["Hello"]


def endless(route) -> str:
    return route.request.post_data.replace("{", '{"ignore_eos":true,', 1)


def test_what_the_model_writes_is_never_markup(page):
    attack = '<img src=x onerror="document.title=1"><script>document.title=2</script>\n```\n<b>'
    events = [
        {"choices": [{"delta": {"content": attack}}]},
        {"choices": [{"delta": {"content": " **bold** `code`"}}]},
    ]
    body = "".join(f"data: {httpx.Response(200, json=e).text}\n\n" for e in events)
    page.route("**/chat/completions", lambda route: route.fulfill(body=body + "data: [DONE]\n\n"))
    ask(page, attack, longest=None)
    expect(answers(page)).to_contain_text("<script>document.title=2</script>")
    assert page.title() == "farthing"
    assert page.locator("#log img, #log script, #log b").count() == 0


def test_errors_are_told_where_the_answer_would_be(page):
    ask(page, "x" * 5000, longest=None)
    expect(answers(page).get_by_role("alert")).to_contain_text("at most 4095 fit")
    page.unroute_all()


def test_a_fault_in_mid_answer_is_told_and_can_be_tried_again(page):
    body = (
        'data: {"choices":[{"delta":{"content":"Half an ans"}}]}\n\n'
        'data: {"error":{"message":"the engine died while it answered; ask again"}}\n\n'
    )
    page.route("**/chat/completions", lambda route: route.fulfill(body=body))
    ask(page, "Hi", longest=None)
    expect(answers(page)).to_contain_text("Half an ans")
    expect(answers(page).get_by_role("alert")).to_contain_text("engine died")
    page.unroute("**/chat/completions")
    page.get_by_role("button", name="Try again").click()
    expect(answers(page)).to_have_count(1)
    expect(answers(page).locator(".bill")).to_contain_text("token")


def test_it_asks_for_the_key_where_one_is_needed(browser, tmp_path):
    with serving(tmp_path, FARTHING_API_KEY=SECRET) as served:
        page = browser.new_page()
        page.goto(served.url)
        expect(page.get_by_label("API key")).to_be_focused()
        page.get_by_label("API key").fill(SECRET)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#model")).to_contain_text("toy")
        ask(page, "Hello")
        expect(answers(page).locator(".bill")).to_contain_text("token")
        page.close()


def test_it_fits_a_phone(browser, server):
    page = browser.new_page(viewport={"width": 360, "height": 640})
    page.goto(server.url)
    ask(page, "word " * 60)
    expect(answers(page).locator(".bill")).to_contain_text("token")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_its_policy_allows_nothing_but_its_own_two_blocks(server):
    answer = httpx.get(server.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[^']+';", policy)
    assert not re.search(r"https?://(?!www\.w3\.org)", answer.text.replace("%27", "'"))
    assert "innerHTML" not in answer.text
