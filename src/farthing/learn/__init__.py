"""Training what is served: the pages of `models/` on torch tensors. The only importer of torch.

The page is the one that is served; `fast` reads its ops in forms that train quickly, and each is
held to `ops.reference`. Wants the extra: `pip install 'farthing[learn]'`.
"""
