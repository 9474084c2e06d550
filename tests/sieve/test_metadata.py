"""Annotations that scripts ask for (RFC 5490 §3.3 to §4.2)."""

from __future__ import annotations

import pytest

from posthouse.sieve.questions import Metadata, Question
from tests.sieve.running import MESSAGE, holds, refusal

THERE = {
    ("INBOX", "/private/vendor/example/answers"): "on",
    ("INBOX", "/shared/comment"): "",
    ("", "/private/comment"): "from 1 to 9",
}
BOTH = "mboxmetadata servermetadata relational comparator-i;ascii-numeric"


def answer(question: Question) -> object:
    assert isinstance(question, Metadata)
    return THERE.get((question.mailbox, question.name))


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('metadata "INBOX" "/private/vendor/example/answers" "ON"', True),
        ('metadata :contains "INBOX" "/private/vendor/example/answers" ["x", "n"]', True),
        ('metadata :comparator "i;octet" "INBOX" "/private/vendor/example/answers" "ON"', False),
        ('metadata "INBOX" "/private/comment" ""', False),
        ('metadata "INBOX" "/shared/comment" ""', True),
        ('metadata :matches "" "/private/comment" "*"', False),
        ('metadata :count "eq" :comparator "i;ascii-numeric" "INBOX" "/shared/comment" "1"', True),
        ('metadata :count "eq" :comparator "i;ascii-numeric" "INBOX" "/shared/nothing" "0"', True),
        ('metadataexists "INBOX" "/shared/comment"', True),
        ('metadataexists "INBOX" ["/shared/comment", "/private/vendor/example/answers"]', True),
        ('metadataexists "INBOX" ["/shared/comment", "/private/comment"]', False),
        ('metadataexists "" "/private/comment"', False),
        ('servermetadata :matches "/private/comment" "from * to *"', True),
        ('servermetadata "/shared/comment" ""', False),
        ('servermetadataexists "/private/comment"', True),
        ('servermetadataexists ["/private/comment", "/shared/comment"]', False),
    ],
)
def test_annotations_are_asked_for_and_compared(test: str, true: bool) -> None:
    # an empty value is there, as none is not
    assert holds(test, MESSAGE, answer, require=BOTH) is true


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('require "mboxmetadata"; if servermetadataexists "/x" {}', 'needs require "servermetadata"'),
        ('require "servermetadata"; if metadataexists "INBOX" "/x" {}', 'needs require "mboxmetadata"'),
        ('require "mboxmetadata"; if metadata "/x" "y" {}', "takes 3 arguments"),
    ],
)
def test_each_of_the_two_is_required_by_itself(script: str, said: str) -> None:
    assert said in refusal(script)
