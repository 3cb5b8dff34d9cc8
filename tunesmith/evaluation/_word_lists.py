"""Words that may stand for one another, for tests of robustness: short lists, read by a person.

A pair is only here where each word can stand for the other in nearly every sentence. So there is no
"issue" for "problem" (a magazine has issues), and no name that is a word as well (Mark, Grace, 高).
"""

from __future__ import annotations

__all__ = ["CHINESE_SURNAMES", "CHINESE_SYNONYMS", "CONTRACTIONS", "NAMES", "SYNONYMS"]

CONTRACTIONS = (
    ("are not", "aren't"), ("cannot", "can't"), ("could not", "couldn't"), ("did not", "didn't"),
    ("does not", "doesn't"), ("do not", "don't"), ("had not", "hadn't"), ("has not", "hasn't"),
    ("have not", "haven't"), ("is not", "isn't"), ("should not", "shouldn't"),
    ("was not", "wasn't"), ("were not", "weren't"), ("will not", "won't"),
    ("would not", "wouldn't"), ("i am", "i'm"), ("i have", "i've"), ("i will", "i'll"),
    ("it is", "it's"), ("that is", "that's"), ("they are", "they're"), ("we are", "we're"),
    ("we have", "we've"), ("we will", "we'll"), ("you are", "you're"), ("you have", "you've"),
    ("you will", "you'll"),
)  # fmt: skip

SYNONYMS = (
    ("almost", "nearly"), ("approximately", "roughly"), ("bought", "purchased"),
    ("big", "large"), ("buying", "purchasing"), ("children", "kids"), ("doctor", "physician"),
    ("enormous", "huge"), ("frequently", "often"), ("immediately", "at once"),
    ("movie", "film"), ("movies", "films"), ("obtained", "got"), ("photo", "picture"),
    ("photos", "pictures"), ("quickly", "rapidly"), ("rarely", "seldom"), ("received", "got"),
    ("regarding", "concerning"), ("require", "need"), ("required", "needed"), ("requires", "needs"),
    ("perhaps", "maybe"), ("sick", "ill"), ("tiny", "very small"), ("began", "started"),
    ("beginning", "start"), ("vacation", "holiday"), ("assistance", "help"), ("okay", "ok"),
)  # fmt: skip

CHINESE_SYNONYMS = (
    ("怎么", "如何"), ("为什么", "为何"), ("但是", "不过"), ("非常", "十分"), ("因为", "由于"),
    ("马上", "立刻"), ("电脑", "计算机"), ("经常", "常常"), ("高兴", "开心"), ("漂亮", "好看"),
    ("妈妈", "母亲"), ("爸爸", "父亲"), ("大概", "大约"), ("也许", "或许"), ("宾馆", "酒店"),
    ("全部", "所有"), ("突然", "忽然"), ("特别", "尤其"), ("一起", "一同"), ("立即", "马上"),
)  # fmt: skip

NAMES = (
    (
        "Alice", "Amanda", "Anna", "Barbara", "Emily", "Emma", "Fatima", "Jennifer", "Jessica",
        "Laura", "Linda", "Maria", "Mary", "Mei", "Nancy", "Olivia", "Priya", "Sarah", "Sophia",
        "Susan", "Yuki",
    ),
    (
        "Ahmed", "Andrew", "Anthony", "Carlos", "Charles", "Daniel", "David", "George", "James",
        "John", "Joseph", "Kevin", "Matthew", "Michael", "Mohammed", "Paul", "Peter", "Richard",
        "Robert", "Thomas", "William",
    ),
)  # fmt: skip
"""Given names, one list a gender, so that the words around still fit."""

CHINESE_SURNAMES = "王李张刘陈杨赵周吴徐孙朱胡郭何林罗郑梁"
