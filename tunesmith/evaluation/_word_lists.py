"""Words that may stand for one another, for tests of robustness: short lists, read by a person.

A pair is only here where each word can stand for the other in nearly every sentence. So there is no
"issue" for "problem" (a magazine has issues), no "got" for "received" (one gets sick), no "help"
for "assistance" (which is no verb), no 一同 for 一起 (一起案件 counts cases), and no name that is a
word as well (Mark, Grace, 高).
"""

from __future__ import annotations

from functools import lru_cache

__all__ = [
    "CHINESE_SURNAMES",
    "CHINESE_SYNONYMS",
    "CONTRACTIONS",
    "NAMES",
    "SYNONYMS",
    "stop_words",
]

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
    ("almost", "nearly"), ("anybody", "anyone"), ("bought", "purchased"),
    ("buying", "purchasing"), ("children", "kids"), ("email", "e-mail"), ("enormous", "huge"),
    ("everybody", "everyone"), ("frequently", "often"), ("nobody", "no one"), ("okay", "ok"),
    ("perhaps", "maybe"), ("quickly", "rapidly"), ("rarely", "seldom"), ("somebody", "someone"),
    ("tiny", "very small"), ("toward", "towards"), ("behaviour", "behavior"),
    ("cancelled", "canceled"), ("colour", "color"), ("favourite", "favorite"),
    ("neighbour", "neighbor"), ("organisation", "organization"), ("apologise", "apologize"),
)  # fmt: skip

CHINESE_SYNONYMS = (
    ("为什么", "为何"), ("因为", "由于"), ("马上", "立刻"), ("立即", "马上"), ("电脑", "计算机"),
    ("经常", "常常"), ("高兴", "开心"), ("妈妈", "母亲"), ("爸爸", "父亲"), ("也许", "或许"),
    ("宾馆", "酒店"), ("西红柿", "番茄"), ("土豆", "马铃薯"), ("星期天", "星期日"),
    ("公交车", "公共汽车"),
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

_CHINESE_STOP_WORDS = (
    "的了是在我你他她它们有和就不都也很着这那与及或吗呢吧啊把被让给对从到会要能一个上下为以"
)

_STOP_WORDS = """
der die das den dem des ein eine einen einem einer und oder aber nicht ich sie er es wir ihr mit auf
im in zu zum zur von vom für ist sind war hat haben wird bei nach aus wie als auch dass noch mein
meine le la les un une des du de et ou mais ne pas je tu il elle nous vous ils est sont a ai au aux
en dans pour par sur avec que qui ce cette mon ma mes el los las una uno y o pero no yo es son ha he
al del por para con sin que se mi su lo gli il della di da non per che è sono um uma os as e não com
"""
"""Of German, French, Spanish, Italian and Portuguese."""

_OF_A_MATTER = frozenset((
    "amount", "bill", "bottom", "call", "computer", "cry", "describe", "detail", "fill", "fire",
    "front", "interest", "mill", "move", "serious", "show", "side", "system", "thick", "thin",
    "top",
))  # fmt: skip
"""What scikit-learn's list of English stop words holds, and a cluster may well be called by."""


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """Words that say nothing of a matter; Chinese ones are single characters."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    contracted = "s t d ll m re ve i'm i've it's don't doesn't didn't isn't can't won't"
    own = {*_CHINESE_STOP_WORDS, *_STOP_WORDS.split(), *contracted.split()}
    return frozenset((ENGLISH_STOP_WORDS - _OF_A_MATTER) | own)
