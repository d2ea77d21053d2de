"""The rules of the lint: what Teradata refuses, or silently misreads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mfprefect_dev.teradata.tokens import RESERVED, Token
from mfprefect_dev.teradata.types import LONGEST
from mfprefect_dev.teradata.words import KEYWORDS

__all__ = ["LONGEST_STRING", "MOST_PARAMETERS", "RANKS", "RULES", "Rule", "texts"]

LONGEST_NAME = 128
LONGEST_STRING = 31_000
LONGEST_REQUEST = 1_000_000
MOST_PARAMETERS = 2_536
RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
_DDL = ("CREATE", "ALTER", "REPLACE")


class Rule(NamedTuple):
    """A pattern that must not reach Teradata."""

    name: str
    why: str
    finds: Callable[[Sequence[Token]], bool]


_last: tuple[Sequence[Token], str] = ((), "")


def texts(read: Sequence[Token]) -> str:
    """Return the words and signs in capitals, with placeholders for strings and names."""
    global _last
    tokens, text = _last  # each rule asks for the text of the same statement
    if tokens is not read:
        dull = {"string": "'s'", "quoted": '"n"', "bytes": "x's'", "number": "0"}
        text = " ".join(dull.get(token.kind, token.text) for token in read)
        _last = read, text
    return text


def _matches(pattern: str) -> Callable[[Sequence[Token]], bool]:
    compiled = re.compile(pattern)
    return lambda read: compiled.search(texts(read)) is not None


def _spans(read: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the tokens between each pair of parentheses, then all tokens."""
    yield list(read)
    stack: list[int] = []
    for place, token in enumerate(read):
        if token.kind != "sign":
            continue
        if token.text == "(":
            stack.append(place)
        elif token.text == ")" and stack:
            yield list(read[stack.pop() + 1 : place])


def _flat(span: Sequence[Token]) -> list[Token]:
    """Return the tokens of a span outside its inner parentheses."""
    tokens, depth = [], 0
    for token in span:
        if token.kind == "sign" and token.text == ")":
            depth -= 1
        if depth == 0:
            tokens.append(token)
        if token.kind == "sign" and token.text == "(":
            depth += 1
    return tokens


def _ordered_inside(read: Sequence[Token]) -> bool:
    for number, span in enumerate(_spans(read)):
        words = [token.text for token in _flat(span)]
        if number and words[:1] == ["SELECT"] and "ORDER" in words and "TOP" not in words:
            return True
    return False


def _windows(read: Sequence[Token]) -> Iterator[tuple[str, list[str]]]:
    """Yield each function with an OVER clause, and the words of its window."""
    signs = [token.text if token.kind == "sign" else "" for token in read]
    for place, token in enumerate(read[:-1]):
        if (token.kind, token.text, signs[place + 1]) != ("word", "OVER", "("):
            continue
        first = _matching(signs[place - 1 :: -1], ")", "(")
        last = _matching(signs[place + 1 :], "(", ")")
        name = read[max(place - 2 - first, 0)].text
        yield name, [token.text for token in read[place + 2 : place + 1 + last]]


def _matching(signs: Sequence[str], opening: str, closing: str) -> int:
    """Return the position of the sign that closes the first one."""
    depth = 0
    for place, sign in enumerate(signs):
        depth += {opening: 1, closing: -1}.get(sign, 0)
        if depth == 0:
            return place
    return len(signs)


def _unordered_rank(read: Sequence[Token]) -> bool:
    asked = sum(token.kind == "word" and token.text in RANKS for token in read)
    windows = (words for name, words in _windows(read) if name in RANKS)
    return asked != sum("ORDER" in words for words in windows)


def _no_frame(read: Sequence[Token]) -> bool:
    """Return whether an ordered aggregate names no rows (ROWS ..)."""
    return any(
        name not in RANKS and "ORDER" in words and "ROWS" not in words
        for name, words in _windows(read)
    )


def _reserved_name(read: Sequence[Token]) -> bool:
    """Return whether a reserved word is used as a name: after a dot, or as an alias."""
    for before, token in itertools.pairwise(read):
        if token.kind != "word" or token.text not in RESERVED:
            continue
        if before.kind == "sign" and before.text == ".":
            return True
        if before.kind == "word" and before.text == "AS" and token.text not in KEYWORDS:
            return True
    return _reserved_column(read)


def _reserved_column(read: Sequence[Token]) -> bool:
    """Return whether CREATE TABLE, INSERT or SET gives a column a reserved name."""
    texts = [token.text for token in read]
    if texts[:1] == ["CREATE"] and "TABLE" in texts[:4] and "(" in texts:
        inside = read[texts.index("(") + 1 :]
        first = True
        depth = 0
        for token in inside:
            sign = token.text if token.kind == "sign" else ""
            if first and token.kind == "word" and token.text in RESERVED - KEYWORDS:
                return True
            depth += {"(": 1, ")": -1}.get(sign, 0)
            first = sign == "," and depth == 0
            if depth < 0:
                break
    for place, text in enumerate(texts[:-1]):
        if text in ("SET", ",") and place + 2 < len(texts) and texts[place + 2] == "=":
            word = read[place + 1]
            if word.kind == "word" and word.text in RESERVED and word.text != "QUERY_BAND":
                return True
    return False


def _null_compared(read: Sequence[Token]) -> bool:
    """Return whether NULL is compared, rather than assigned by SET."""
    rest = re.sub(r"\bSET .*?(?=\bWHERE\b|\bWHEN\b|$)", "", texts(read))
    return re.search(r"(?:=|<>|<|>|<=|>=) NULL\b", rest) is not None


def _long_name(read: Sequence[Token]) -> bool:
    return any(len(t.name) > LONGEST_NAME for t in read if t.kind in ("word", "quoted"))


def _long_string(read: Sequence[Token]) -> bool:
    return any(token.kind == "string" and len(token.text) > LONGEST_STRING for token in read)


def _too_long(read: Sequence[Token]) -> bool:
    return sum(len(token.written) for token in read) > LONGEST_REQUEST


def _many_parameters(read: Sequence[Token]) -> bool:
    return sum(token.kind == "param" for token in read) > MOST_PARAMETERS


def _length(read: Sequence[Token]) -> bool:
    """Return whether a VARCHAR is longer than its character set allows."""
    for place, token in enumerate(read):
        if token.text not in ("VARCHAR", "CHAR") or token.kind != "word":
            continue
        after = read[place + 1 : place + 7]
        if len(after) > 2 and after[0].text == "(" and after[1].kind == "number":
            unicode = [t.text for t in after[3:6]] == ["CHARACTER", "SET", "UNICODE"]
            if int(float(after[1].text)) > LONGEST["UNICODE" if unicode else "LATIN"]:
                return True
    return False


def _no_charset(read: Sequence[Token]) -> bool:
    """Return whether a text column takes the user's default character set."""
    if not read or read[0].text not in _DDL:
        return False
    for place, token in enumerate(read):
        if token.kind == "word" and token.text in ("VARCHAR", "CLOB"):
            rest = read[place + 1 :]
            if rest and rest[0].text == "(":
                rest = rest[3:]
            if [t.text for t in rest[:2]] != ["CHARACTER", "SET"]:
                return True
    return False


def _no_primary_index(read: Sequence[Token]) -> bool:
    texts = [token.text for token in read]
    if texts[:1] != ["CREATE"] or "TABLE" not in texts[:3]:
        return False
    return "PRIMARY INDEX" not in " ".join(texts)


def _key_and_index(read: Sequence[Token]) -> bool:
    text = " ".join(t.name.upper() if t.kind == "quoted" else t.text for t in read)
    keys = set(re.findall(r"PRIMARY KEY (\([^)]*\))", text))
    return bool(keys & set(re.findall(r"PRIMARY INDEX (?:\w+ )?(\([^)]*\))", text)))


def _semicolon(read: Sequence[Token]) -> bool:
    return any(token.text == ";" and token.kind == "sign" for token in read[:-1])


def _band(read: Sequence[Token]) -> bool:
    if [t.text for t in read[:3]] != ["SET", "QUERY_BAND", "="] or len(read) < 4:
        return False
    band = read[3]
    if band.kind != "string":
        return band.text != "NONE"
    pairs = band.text.split(";")
    return pairs[-1] != "" or any(len(pair.partition("=")[2]) > 256 for pair in pairs)


RULES: tuple[Rule, ...] = (
    Rule("limit", "no LIMIT; use TOP n", _matches(r"\bLIMIT (?:0|\?|ALL)")),
    Rule("offset", "no OFFSET; use QUALIFY ROW_NUMBER() ..", _matches(r"\bOFFSET (?:0|\?)")),
    Rule("fetch", "no FETCH FIRST; use TOP n", _matches(r"\bFETCH (?:FIRST|NEXT)\b")),
    Rule("top-distinct", "DISTINCT and TOP exclude each other", _matches(r"\bDISTINCT TOP\b")),
    Rule("top-bound", "TOP takes a literal number", _matches(r"\bTOP (?:\?|\()")),
    Rule("returning", "no RETURNING", _matches(r"\bRETURNING\b")),
    Rule("for-update", "no FOR UPDATE", _matches(r"\bFOR UPDATE\b")),
    Rule("now", "no now(); use CURRENT_TIMESTAMP(6)", _matches(r"\bNOW \(")),
    Rule("is-value", "IS takes only NULL", _matches(r"\bIS (?:NOT )?(?!NOT\b|NULL\b)\S")),
    Rule("boolean", "no TRUE or FALSE", _matches(r"(?<!\. )\b(?:TRUE|FALSE)\b(?! \()")),
    Rule("exists-value", "EXISTS is not a value", _matches(r"\bSELECT (?:NOT )?\(? ?EXISTS\b")),
    Rule("values-table", "no FROM (VALUES ..)", _matches(r"\b(?:FROM|JOIN) \( VALUES\b")),
    Rule("empty-insert", "no INSERT () VALUES ()", _matches(r"\( \) VALUES|VALUES \( \)")),
    Rule("rows", "VALUES takes one row", _matches(r"\bVALUES \([^()]*\) , \(")),
    Rule("null-in", "IN (NULL) is error 3731", _matches(r"\bIN \( (?:NULL\b[^)]*)?\)")),
    Rule("null-compared", "= NULL is error 3731", _null_compared),
    Rule("if-exists", "no IF [NOT] EXISTS", _matches(r"\bIF (?:NOT )?EXISTS\b")),
    Rule("schema", "no CREATE SCHEMA", _matches(r"\b(?:CREATE|DROP) SCHEMA\b")),
    Rule(
        "cascade",
        "no ON DELETE or ON UPDATE",
        _matches(r"\bON (?:DELETE|UPDATE) (?:CASCADE|SET|RES)"),
    ),
    Rule(
        "checked-reference", "add WITH NO CHECK OPTION", _matches(r"\bREFERENCES (?!WITH NO CHECK)")
    ),
    Rule("long-text", "a VARCHAR holds 32,000 characters of UNICODE", _length),
    Rule("charset", "name the character set: the default may be LATIN", _no_charset),
    Rule("multiset", "add MULTISET: a SET table drops rows", _matches(r"^CREATE (?:SET )?TABLE\b")),
    Rule("primary-index", "choose a primary index", _no_primary_index),
    Rule("key-and-index", "a key and a primary index on the same columns", _key_and_index),
    Rule(
        "identity",
        "identity values have gaps",
        _matches(r"\bGENERATED (?:ALWAYS|BY)\b|\bIDENTITY\b"),
    ),
    Rule(
        "index-order",
        "use CREATE INDEX name (..) ON table",
        _matches(r"^CREATE (?:UNIQUE )?INDEX (?:\S+ )?ON\b"),
    ),
    Rule("reserved", "a reserved word as a bare name", _reserved_name),
    Rule("long-name", "a name has at most 128 characters", _long_name),
    Rule("long-string", "a string has at most 31,000 characters", _long_string),
    Rule("long-request", "a request has at most 1 MB", _too_long),
    Rule("parameters", f"a request has at most {MOST_PARAMETERS} parameters", _many_parameters),
    Rule("one-request", "one request at a time", _semicolon),
    Rule("unequal", "use <>", _matches(r"(?:^| )!= ")),
    Rule("modulo", "use MOD", _matches(r" % ")),
    Rule("cast", "no ::; use CAST", _matches(r" :: ")),
    Rule("backquote", "quote names with double quotes", _matches(r" ` ")),
    Rule("ilike", "no ILIKE", _matches(r"\bILIKE\b")),
    Rule(
        "update-from",
        "no UPDATE .. SET .. FROM",
        _matches(r"^UPDATE \S+ (?:AS \S+ )?SET [^()]*\bFROM\b"),
    ),
    Rule("using", "no USING; use ON", _matches(r"\bJOIN \S+ (?:AS \S+ )?USING\b")),
    Rule("on-conflict", "no ON CONFLICT; use MERGE", _matches(r"\bON (?:CONFLICT|DUPLICATE)\b")),
    Rule("ordered-inside", "ORDER BY only at the end, or with TOP", _ordered_inside),
    Rule("unordered-rank", "ROW_NUMBER needs ORDER BY", _unordered_rank),
    Rule(
        "frame",
        "an ordered aggregate covers all rows, not those up to this one; add ROWS",
        _no_frame,
    ),
    Rule(
        "query-band", "a query band is 'name=value;', with at most 256 characters in a value", _band
    ),
    Rule(
        "transaction",
        "the driver handles transactions",
        _matches(r"^(?:BEGIN|BT|ET|END TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT)\b"),
    ),
)
