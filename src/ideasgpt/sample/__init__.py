"""Sample data: reproducible, of any size, in both languages."""

from __future__ import annotations

from ideasgpt.sample.load import SampleError, load_sample, load_sample_if_empty

__all__ = ["SampleError", "load_sample", "load_sample_if_empty"]
