"""Post steps: what an App or a folder does to what was rendered, whatever rendered it."""

from renderers.post.apply import apply_post

__all__ = ["apply_post"]
