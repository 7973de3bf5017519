"""Nobody reaches, changes or so much as notices what belongs to another account.

The routes come from the application itself; `isolation.py` says whose things each of
them shows, and a route that does not stand there fails the first test.
"""

import contextlib
import re

import pytest

from service.accounts import Scope
from service.api.app import make_app
from service.catalog_file import LiveCatalog
from service.settings import PACKAGED_CATALOG, Settings
from tests.fakes.door import Answer, FrontDoor
from tests.fakes.two_accounts import FOX, PATHS, TwoAccounts
from tests.fakes.visitor import Seen, Visitor
from tests.fakes.worker import FakeWorker
from tests.wire.isolation import (
    OPEN_PAGES,
    OTHER_PARTS,
    PAGE_PARTS,
    ROUTES,
    Keyed,
    Operators,
    Owned,
    Public,
    Sealed,
)

SAME = {"X_Request_ID": "req_of-both"}
"""Answers that name it are compared to the byte."""
OWNED = {name: row for name, row in ROUTES.items() if isinstance(row, Owned)}
KEYED = {name: row for name, row in ROUTES.items() if isinstance(row, Keyed)}


@pytest.fixture
async def world(door: FrontDoor, worker: FakeWorker) -> TwoAccounts:
    _ = worker
    return await TwoAccounts(door).settle()


def path_of(name: str, row: Owned, thing: str) -> str:
    path = name.partition(" ")[2]
    for part, value in row.more.items():
        path = path.replace(f"{{{part}}}", value)
    return path[: path.index("{")] + thing + path[path.index("}") + 1 :]


def unknown(thing: str) -> str:
    """Return what could be the id of another one; there is none."""
    return thing[:-10] + thing[-10:][::-1]


def visible(answer: Answer) -> tuple[object, ...]:
    """All that a caller sees of it; the date tells the hour and no more."""
    headers = {k.lower(): v for k, v in answer.headers.items() if k.lower() != "date"}
    return answer.status, answer.raw, headers


def standing(answer: Answer) -> bytes:
    """The thing as it stands; links to its images are signed anew each second."""
    return re.sub(rb"\?exp=[^\"]*", b"", answer.raw)


def routes_of_the_app() -> set[str]:
    app = make_app(Settings(), LiveCatalog(PACKAGED_CATALOG))
    return {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


PAGES = {name for name in routes_of_the_app() if " /ui" in name} - OPEN_PAGES


def test_the_table_has_every_route():
    served = {name for name in routes_of_the_app() if " /ui" not in name}

    assert served - set(ROUTES) == set()
    assert set(re.findall(r"\{(\w+)\}", " ".join(PAGES))) <= {*PAGE_PARTS, *OTHER_PARTS}


async def test_strangers_are_told_of_anothers_things_as_of_none(
    door: FrontDoor, world: TwoAccounts
):
    names = {"HEAD" + name[3:]: row for name, row in OWNED.items() if name[:3] == "GET"}
    leaks = []
    for name, row in {**OWNED, **names}.items():
        method, thing = name.partition(" ")[0], world.things[row.thing]
        others = [thing, unknown(thing)]
        if row.thing in world.deleted:
            others.append(world.deleted[row.thing])
        told = [
            await door.call(
                method,
                path_of(name, row, other),
                json=row.json,
                secret=world.eve,
                **SAME,
            )
            for other in others
        ]
        if told[0].status != 404 or any(visible(t) != visible(told[0]) for t in told):
            leaks.append((name, [visible(answer) for answer in told]))

    assert leaks == []


async def test_owners_find_what_strangers_could_neither_see_nor_change(
    door: FrontDoor, world: TwoAccounts
):
    paths = [f"/v1/{PATHS[kind]}/{thing}" for kind, thing in world.things.items()]
    before = [standing(await world.own("GET", path)) for path in paths]

    for name, row in OWNED.items():
        method, path = (
            name.partition(" ")[0],
            path_of(name, row, world.things[row.thing]),
        )
        await door.call(method, path, json=row.json, secret=world.eve)
    after = [standing(await world.own("GET", path)) for path in paths]
    own = {}
    for name, row in OWNED.items():
        thing = await world.make(row.thing) if row.goes else world.things[row.thing]
        method, path = name.partition(" ")[0], path_of(name, row, thing)
        told = await door.call(method, path, json=row.json, secret=world.ada)
        own[name] = told.status

    assert after == before
    assert own == {name: row.own for name, row in OWNED.items()}


async def test_listings_show_the_callers_own_things_only(
    door: FrontDoor, world: TwoAccounts
):
    shown = {}
    for name, row in KEYED.items():
        if row.lists:
            answer = await door.get(name.partition(" ")[2], secret=world.eve)
            shown[name] = [
                thing for thing in world.things.values() if thing in answer.raw.decode()
            ]
            assert answer.status == 200
            assert b'"ada"' not in answer.raw

    assert not any(shown.values()), shown


async def test_nothing_opens_without_the_right_key(door: FrontDoor, world: TwoAccounts):
    _, embed = await door.knows("ada", scopes=frozenset({Scope.EMBED}))
    revoked, secret = await door.knows("ada")
    await door.accounts.revoke(revoked.id)
    told = {}
    for name, row in (KEYED | OWNED).items():
        method, _, path = name.partition(" ")
        if isinstance(row, Owned):
            path = path_of(name, row, world.things[row.thing])
        path = re.sub(r"\{\w+\}", "mine", path)
        answers = [
            await door.call(method, path, secret=given)
            for given in (None, "sk_of-nobody", secret, embed)
        ]
        told[name] = [answer.code for answer in answers]

    refused = ["missing_key", "invalid_key", "key_revoked"]
    for name, codes in told.items():
        may_embed = getattr(ROUTES[name], "embed", False)
        assert codes[:3] == refused, name
        assert (codes[3] == "key_scope") != may_embed, name


async def test_what_is_open_shows_nothing_of_anybody(
    door: FrontDoor, world: TwoAccounts
):
    for name, row in ROUTES.items():
        if isinstance(row, Public):
            method, _, path = name.partition(" ")
            answer = await door.call(method, path, secret=None)
            text = answer.raw.decode()

            assert answer.status == 200, name
            assert "ada" not in text.split('"'), name
            assert not [thing for thing in world.things.values() if thing in text], name


async def test_what_is_for_operators_is_not_there_for_others(
    door: FrontDoor, world: TwoAccounts
):
    for name, row in ROUTES.items():
        if isinstance(row, Operators):
            method, _, path = name.partition(" ")
            told = await door.call(
                method, re.sub(r"\{\w+\}", world.key_id, path), secret=world.eve
            )
            assert (told.status, told.code) == (404, "not_found"), name


async def test_what_is_sealed_stays_shut_without_its_seal(
    door: FrontDoor, world: TwoAccounts
):
    for row in ROUTES.values():
        if isinstance(row, Sealed):
            job = world.things["job"]
            paths = [row.path.format(job=name) for name in (job, unknown(job))]
            told = [await door.get(path, secret=None, **SAME) for path in paths]

            assert [(t.status, t.code) for t in told] == [row.refused] * 2
            assert visible(told[0]) == visible(told[1])


async def test_naming_anothers_thing_elsewhere_is_like_naming_none(
    door: FrontDoor, world: TwoAccounts
):
    things = world.things
    batch = {"endpoint": "/v1/images/generations", "completion_window": "24h"}
    named = [
        *(
            ("GET", f"/v1/{PATHS[kind]}?after={{}}", kind, None)
            for kind in PATHS
            if kind != "endpoint"
        ),
        ("GET", "/v1/deliveries?endpoint={}", "endpoint", None),
        ("GET", "/v1/deliveries?job={}", "job", None),
        ("POST", "/v1/batches", "file", batch),
    ]

    for method, path, kind, json in named:
        told = []
        for thing in (things[kind], unknown(things[kind])):
            fields = None if json is None else {**json, "input_file_id": thing}
            told.append(
                await door.call(
                    method, path.format(thing), json=fields, secret=world.eve, **SAME
                )
            )
        assert visible(told[0]) == visible(told[1]), path


async def test_names_that_callers_choose_are_every_accounts_own(
    door: FrontDoor, world: TwoAccounts
):
    named = {"Idempotency_Key": "one", **SAME}
    hers = await world.own("POST", "/v1/jobs", json=FOX, **named)
    other = {**FOX, "prompt": "an owl"}

    mine = await door.post("/v1/jobs", other, secret=world.eve, **named)
    strange = await door.get(f"/v1/jobs/{world.alias}", secret=world.eve, **SAME)
    nobodys = await door.get("/v1/jobs/calendar-7202", secret=world.eve, **SAME)
    put = await door.call("PUT", f"/v1/jobs/{world.alias}", json=FOX, secret=world.eve)
    usage = await door.get("/v1/usage?account=ada", secret=world.eve)

    assert (mine.status, mine.body["id"] != hers.body["id"]) == (202, True)
    assert (strange.status, visible(strange)) == (404, visible(nobodys))
    own = await world.own("GET", f"/v1/jobs/{world.alias}")
    assert (put.status, put.body["id"] != own.body["id"]) == (202, True)
    assert (usage.status, usage.code) == (403, "key_scope")


async def visit(visitor: Visitor, name: str, path: str) -> Seen:
    call = visitor.get if name.startswith("GET") else visitor.post
    return await call(path, **{"X-Request-ID": SAME["X_Request_ID"]})


def page_of(name: str, thing: str) -> str:
    path = name.partition(" ")[2]
    for part, value in OTHER_PARTS.items():
        path = path.replace(f"{{{part}}}", value)
    return re.sub(r"\{\w+\}", thing, path)


async def test_every_page_shows_its_visitors_own_things_only(
    door: FrontDoor, world: TwoAccounts
):
    async with contextlib.AsyncExitStack() as stack:
        eve, nobody = Visitor(door), Visitor(door)
        stack.push_async_callback(eve.close)
        stack.push_async_callback(nobody.close)
        await eve.sign_in(world.eve)
        things = {**world.things, "key": world.key_id}
        for name in sorted(PAGES, key=lambda name: "sign-out" in name):
            kinds = [PAGE_PARTS[p] for p in re.findall(r"\{(\w+_id)\}", name)]
            thing = things[kinds[0]] if kinds else ""
            seen = await visit(eve, name, page_of(name, thing))
            none = await visit(eve, name, page_of(name, unknown(thing)))
            stranger = await visit(nobody, name, page_of(name, thing))

            shown = [t for t in things.values() if t in seen.html and t != thing]
            assert not shown, name
            assert seen.status == none.status, name
            assert seen.status == 404 or not kinds or name.startswith("POST"), name
            if kinds:
                assert seen.status >= 400, name
                assert seen.html == none.html.replace(unknown(thing), thing), name
            assert stranger.status == 303, name
            assert stranger.headers["Location"].startswith("/ui/sign-in"), name
    for kind, path in PATHS.items():
        await world.own("GET", f"/v1/{path}/{world.things[kind]}")
