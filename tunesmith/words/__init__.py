"""Texts as whole words, and texts with some of their words left out: what explaining needs."""

from tunesmith.words._dictionaries import missing_dictionary, script_of
from tunesmith.words._keep import keep_words, leave_out_each
from tunesmith.words._split import Word, split_words, words_of

__all__ = [
    "Word",
    "keep_words",
    "leave_out_each",
    "missing_dictionary",
    "script_of",
    "split_words",
    "words_of",
]
