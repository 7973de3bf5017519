"""Embed links: what counts as the same image, and what a seal holds together."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.embeds import Embed, Seal
from service.core.errors import InvalidSignature, UrlExpired
from service.core.sameness import normalized

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
END = NOW + timedelta(hours=1)
SECRET = bytes(range(32))
KEY_ID = "key_0123456789abcdef"
EMBED = Embed(
    model="test/test", prompt="a fox", references=("https://x/1", "https://y")
)


def signed(embed: Embed, secret: bytes = SECRET) -> Seal:
    path = embed.signed(key_id=KEY_ID, expires_at=END, secret=secret)
    query = parse_qs(urlsplit(path).query)
    return Seal(*(query[name][0] for name in Seal._fields))


def test_path_says_all_there_is_to_say():
    path = EMBED.signed(key_id=KEY_ID, expires_at=END, secret=SECRET)

    url = urlsplit(path)
    assert url.path == "/embed/image:test/test"
    assert {name: said for name, [said] in parse_qs(url.query).items()} == {
        "prompt": "a fox",
        "references": "https://x/1,https://y",
        **signed(EMBED)._asdict(),
    }


texts = st.text(st.characters(codec="utf-8"), min_size=1)


@given(texts, st.lists(texts, max_size=3))
def test_a_signed_embed_is_good_until_its_expiry_and_not_after(prompt, references):
    embed = Embed(model="m", prompt=prompt, references=tuple(references))
    seal = signed(embed)

    embed.check(seal, secret=SECRET, at=END - timedelta(milliseconds=1))

    with pytest.raises(UrlExpired):
        embed.check(seal, secret=SECRET, at=END)


@pytest.mark.parametrize(
    "other",
    [
        Embed(model="test/other", prompt="a fox", references=EMBED.references),
        Embed(model="test/test", prompt="a Fox", references=EMBED.references),
        Embed(model="test/test", prompt="a fox", references=EMBED.references[:1]),
        Embed(model="test/test", prompt="a fox"),
    ],
)
def test_a_seal_is_good_for_no_other_image(other: Embed):
    with pytest.raises(InvalidSignature):
        other.check(signed(EMBED), secret=SECRET, at=NOW)


@given(st.data())
def test_every_character_of_a_seal_matters(data):
    seal = signed(EMBED)
    name = data.draw(st.sampled_from(Seal._fields))
    said = getattr(seal, name)
    at = data.draw(st.integers(0, len(said)))
    put = data.draw(st.text(max_size=2))
    changed = said[:at] + put + said[at + 1 :]

    if changed == said:
        return
    with pytest.raises(InvalidSignature):
        EMBED.check(seal._replace(**{name: changed}), secret=SECRET, at=NOW)


@pytest.mark.parametrize(
    "exp", ["", "-1", "0", "1e9", "\N{FULLWIDTH DIGIT ONE}7", "9" * 30, " 1795000000"]
)
def test_expiry_is_a_plain_number_even_where_the_signature_is_right(exp: str):
    seal = Seal(exp, KEY_ID, EMBED._signature(exp, KEY_ID, SECRET))

    with pytest.raises(InvalidSignature):
        EMBED.check(seal, secret=SECRET, at=NOW)


def test_a_seal_of_another_installation_is_not_valid():
    with pytest.raises(InvalidSignature):
        EMBED.check(signed(EMBED, bytes(32)), secret=SECRET, at=NOW)


@pytest.mark.parametrize(
    ("prompt", "same"),
    [
        ("  a \t fox\n", "a fox"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\u00a0fox", "a fox"),
        ("a\u3000fox", "a fox"),
    ],
)
def test_prompts_are_the_same_when_no_reader_sees_a_difference(prompt, same):
    assert normalized(prompt) == same
    embeds = [Embed(model="m", prompt=text) for text in (prompt, same)]
    assert len({embed.cache_key("m") for embed in embeds}) == 1


def test_cache_key_minds_case_model_and_references_but_not_their_order():
    there = Embed(model="m", prompt="a fox", references=("https://x", "https://y"))
    back = Embed(model="alias", prompt="a fox", references=("https://y", "https://x"))
    others = [
        Embed(model="m", prompt="a Fox", references=there.references),
        Embed(model="m", prompt="a fox", references=there.references[:1]),
    ]

    assert there.cache_key("m") == back.cache_key("m") != there.cache_key("n")
    assert there.cache_key("m") not in {other.cache_key("m") for other in others}
