#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""holdfast-server from outside: protocol 2.0 and 3.0, and types.

usage: protocol_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import json
import re
import sys
import threading
import time
import urllib.parse

from harness import V3, Client, expect, row_of, run


# ---- protocol 2.0: protocol.md 13, where we do better than the old servers: 14

def test_v2_single_rows(server):
    c = Client(server)
    a1 = row_of(c("POST", "/tables/readings", {"id": "a1", "sensor": "t", "value": 1.5, "ts": 12,
                                               "ok": True, "at": "2026-01-02T03:04:05.678Z",
                                               "quality": None}), 201)
    assert a1["value"] == 1.5 and a1["ok"] is True and a1["quality"] is None
    assert a1["deleted"] is False and a1["createdAt"] == a1["updatedAt"]
    again = row_of(c("POST", "/tables/readings", {"id": "a1", "sensor": "other"}), 409)
    assert again == a1
    made = row_of(c("POST", "/tables/readings", {"sensor": "x"}), 201)
    assert re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", made["id"])
    assert row_of(c("POST", "/tables/readings", {"id": "", "sensor": "x"}), 201)["id"]
    assert row_of(c("POST", "/tables/readings", {"id": 12}), 201)["id"] == "12"
    two = row_of(c("PATCH", "/tables/readings/a1", {"id": "a1", "value": 2}))
    assert two["value"] == 2 and two["sensor"] == "t" and two["updatedAt"] > a1["updatedAt"]
    assert two["version"] != a1["version"] and two["createdAt"] == a1["createdAt"]
    old = '"%s"' % a1["version"]
    assert row_of(c("PATCH", "/tables/readings/a1", {"value": 3}, If_Match=old), 412) == two
    assert row_of(c("PATCH", "/tables/readings/a1", {"version": a1["version"]}), 409) == two
    three = row_of(c("PATCH", "/tables/readings", {"id": "a1", "quality": 7}))
    assert three["quality"] == 7
    assert row_of(c("PATCH", "/tables/readings/a1", {"sensor": None}))["sensor"] is None
    row_of(c("PATCH", "/tables/readings/a1", {"value": 4}, If_Match="*"))
    same = row_of(c("PATCH", "/tables/readings/a1", {}))
    assert row_of(c("PATCH", "/tables/readings/a1", {}))["version"] == same["version"]
    expect(c("PATCH", "/tables/readings/nope", {"value": 1}), 404)
    expect(c("PATCH", "/tables/readings/nope", {"value": 1}, If_Match=old), 404)
    expect(c("PATCH", "/tables/readings/a1", {"id": "b", "value": 1}), 400)
    for name in ("updatedAt", "CreatedAt", "deleted"):
        expect(c("PATCH", "/tables/readings/a1", {name: "x"}), 400)
        expect(c("POST", "/tables/readings", {name: "x"}), 400)
    assert row_of(c("GET", "/tables/READINGS/a1")) == same
    assert c("GET", "/tables/readings/a1", If_None_Match='"%s"' % same["version"]).status == 200


def test_v2_delete_and_undelete(server):
    c = Client(server)
    row = row_of(c("POST", "/tables/readings", {"id": "d1", "value": 1}), 201)
    row_of(c("DELETE", "/tables/readings/d1", If_Match='"x"'), 412)
    gone = row_of(c("DELETE", "/tables/readings/d1", If_Match='"%s"' % row["version"]))
    assert gone["deleted"] is True and gone["updatedAt"] > row["updatedAt"]
    expect(c("DELETE", "/tables/readings/d1"), 404)
    expect(c("DELETE", "/tables/readings/never"), 404)
    expect(c("GET", "/tables/readings/d1"), 404)
    expect(c("GET", "/tables/readings/d1?__includeDeleted=false"), 404)
    assert row_of(c("GET", "/tables/readings/d1?__includedeleted=true")) == gone
    expect(c("PATCH", "/tables/readings/d1", {"value": 2}), 404)
    assert row_of(c("POST", "/tables/readings", {"id": "d1"}), 409) == gone
    assert "d1" not in [r["id"] for r in c("GET", "/tables/readings").json]
    assert "d1" in [r["id"] for r in c("GET", "/tables/readings?__includeDeleted=true&$orderby=updatedAt%20desc").json]
    row_of(c("POST", "/tables/readings/d1", If_Match='"x"'), 412)
    back = row_of(c("POST", "/tables/readings/d1"), 201)
    assert back["deleted"] is False and back["version"] != gone["version"]
    row_of(c("POST", "/tables/readings/d1"), 201)
    expect(c("POST", "/tables/readings/never"), 404)


def test_v2_lists(server):
    c = Client(server)
    for i in range(7):
        row_of(c("POST", "/tables/pages", {"id": "p%d" % i, "n": i, "odd": i % 2 == 1}), 201)
    base = "/tables/pages"
    page = expect(c("GET", base + "?$orderby=n%20desc&$top=5"), 200)
    assert [r["n"] for r in page.json] == [6, 5, 4], "page size of this server is 3"
    link = page.headers["Link"]
    assert link == f"https://127.0.0.1:{server.port}{base}?$orderby=n%20desc&$skip=3&$top=2; rel=next"
    page = c("GET", link.split(";")[0][len(f"https://127.0.0.1:{server.port}"):])
    assert [r["n"] for r in page.json] == [3, 2] and "Link" not in page.headers
    counted = c("GET", base + "?$top=2&$inlinecount=allpages&$filter=odd eq true".replace(" ", "%20")).json
    assert counted["count"] == 3 and [r["n"] for r in counted["results"]] == [1, 3]
    assert c("GET", base + "?$top=0&$inlinecount=allpages").json == {"results": [], "count": 7}
    assert c("GET", base + "?$select=n,id&$top=1").json == [{"n": 0, "id": "p0"}]
    assert c("GET", base + "?$filter=n%20eq%2099").json == []
    assert c("GET", base + "?$skip=100").json == []
    assert c("GET", "/tables/nobody").json == []
    assert len(c("GET", base + "?custom=1&$unknown=x").json) == 3
    # Follow the links: everything, once, in the order of change.
    seen, path = [], base
    while path:
        answer = expect(c("GET", path), 200)
        seen += [r["id"] for r in answer.json]
        link = answer.headers.get("Link")
        path = link and urllib.parse.urlsplit(link.split(";")[0])
        path = path and path.path + "?" + path.query
    assert seen == ["p%d" % i for i in range(7)]


def test_v2_incremental_pull(server):
    c = Client(server)
    for i in range(10):
        row_of(c("POST", "/tables/inc", {"id": "i%d" % i, "n": i}), 201)
    c("DELETE", "/tables/inc/i3")
    c("PATCH", "/tables/inc/i5", {"n": 50})
    token, seen = "1970-01-01T00:00:00.0000000%2B00:00", {}
    for _ in range(20):
        rows = expect(c("GET", f"/tables/inc?$filter=(updatedAt%20ge%20datetimeoffset'{token}')"
                               "&$orderby=updatedAt&$skip=0&$top=3&__includeDeleted=true"), 200).json
        fresh = [r for r in rows if seen.get(r["id"], {}).get("version") != r["version"]]
        if not fresh:
            break
        seen.update((r["id"], r) for r in rows)
        token = rows[-1]["updatedAt"].replace("Z", "0%2B00:00")
    assert len(seen) == 10 and seen["i3"]["deleted"] and seen["i5"]["n"] == 50
    moments = [r["updatedAt"] for r in c("GET", "/tables/inc?$orderby=updatedAt").json]
    assert moments == sorted(set(moments))


def test_v2_filters(server):
    c = Client(server)
    for i, name in enumerate(["alpha", "Beta", "it's", "delta", None]):
        row_of(c("POST", "/tables/filters", {"id": "f%d" % i, "name": name, "n": i, "x": i / 2}), 201)
    cases = {
        "name eq 'it''s'": ["f2"], "name eq null": ["f4"], "name ne null and n lt 2": ["f0", "f1"],
        "not (n ge 1)": ["f0"], "startswith(name,'al')": ["f0"], "endswith(name,'ta')": ["f1", "f3"],
        "substringof('elt',name)": ["f3"], "contains(name,'elt')": ["f3"],
        "tolower(name) eq 'beta'": ["f1"], "length(name) eq 4": ["f1", "f2"],
        "(n add 1) eq 3": ["f2"], "n mod 2 eq 1": ["f1", "f3"], "x eq 1.5": ["f3"],
        "name in ('alpha','delta')": ["f0", "f3"], "id eq 'f1' or id eq 'f2'": ["f1", "f2"],
        "deleted eq true": [], "year(updatedAt) ge 2020 and n eq 0": ["f0"],
    }
    for text, ids in cases.items():
        answer = c("GET", "/tables/filters?$top=50&$orderby=id&$filter=" + urllib.parse.quote(text))
        assert answer.status == 200, (text, answer)
        assert [r["id"] for r in answer.json] == ids, (text, answer)


# ---- protocol 3.0

def test_v3_single_rows(server):
    c = Client(server, headers=V3)
    answer = c("POST", "/tables/three", {"id": "t1", "n": 1, "m": "x", "updatedAt": "junk",
                                         "version": "junk", "deleted": False})
    row = row_of(answer, 201)
    assert answer.headers["Location"] == f"https://127.0.0.1:{server.port}/tables/three/t1"
    assert row_of(c("POST", "/tables/three", {"id": "t1", "n": 2}), 409) == row
    put = row_of(c("PUT", "/tables/three/t1", {"id": "t1", "n": 5, "version": "x"}))
    assert put["n"] == 5 and put["m"] is None and put["createdAt"] == row["createdAt"]
    expect(c("PUT", "/tables/three/t1", {"n": 5}), 400)
    expect(c("PUT", "/tables/three/t1", {"id": "t2", "n": 5}), 400)
    expect(c("PUT", "/tables/three/none", {"id": "none"}), 404)
    assert row_of(c("PUT", "/tables/three/t1", {"id": "t1"}, If_Match='"x"'), 412) == put
    patched = row_of(c("PATCH", "/tables/three/t1", {"m": "y"}, If_Match='"%s"' % put["version"]))
    assert patched["n"] == 5 and patched["m"] == "y"
    fresh = c("GET", "/tables/three/t1", If_None_Match='"%s"' % patched["version"])
    assert fresh.status == 304 and fresh.body == b"" and fresh.etag == '"%s"' % patched["version"]
    row_of(c("GET", "/tables/three/t1", If_None_Match='"old"'))
    row_of(c("DELETE", "/tables/three/t1", If_Match='"x"'), 412)
    gone = c("DELETE", "/tables/three/t1")
    assert gone.status == 204 and gone.body == b"" and gone.etag is None
    expect(c("DELETE", "/tables/three/t1"), 410)
    expect(c("DELETE", "/tables/three/none"), 404)
    expect(c("GET", "/tables/three/t1"), 410)
    assert row_of(c("GET", "/tables/three/t1?__includedeleted=true"))["deleted"] is True
    expect(c("PATCH", "/tables/three/t1", {"n": 1}), 410)
    expect(c("PUT", "/tables/three/t1", {"id": "t1", "n": 1}), 410)
    back = row_of(c("PATCH", "/tables/three/t1", {"deleted": False}))
    assert back["deleted"] is False and back["m"] == "y"
    c("DELETE", "/tables/three/t1")
    back = row_of(c("PUT", "/tables/three/t1?__includedeleted=true",
                    {"id": "t1", "n": 8, "deleted": False}))
    assert back["deleted"] is False and back["n"] == 8


def test_v3_lists(server):
    c = Client(server, headers=V3)
    for i in range(7):
        row_of(c("POST", "/tables/lists3", {"id": "l%d" % i, "n": i}), 201)
    page = c("GET", "/tables/lists3?$orderby=updatedAt&$count=true").json
    assert page["count"] == 7 and len(page["items"]) == 3
    assert page["nextLink"] == (f"https://127.0.0.1:{server.port}/tables/lists3?$orderby=updatedAt"
                                f"&$count=true&$skip=3&__after={page['items'][2]['updatedAt']}")
    seen, path = [], "/tables/lists3"
    while path:
        page = expect(c("GET", path, X_ZUMO_Options="nextLink=path"), 200).json
        assert set(page) == {"items", "count", "nextLink"} and page["count"] is None
        seen += [r["id"] for r in page["items"]]
        path = page["nextLink"]
        assert path is None or path.startswith("/tables/lists3?")
    assert seen == ["l%d" % i for i in range(7)]
    moment = c("GET", "/tables/lists3/l3").json["updatedAt"]
    text = urllib.parse.quote(f"(updatedAt gt cast({moment},Edm.DateTimeOffset))")
    rows = c("GET", f"/tables/lists3?$filter={text}&__includedeleted=true&$orderby=updatedAt").json
    assert [r["id"] for r in rows["items"]] == ["l4", "l5", "l6"] and rows["nextLink"] is None
    assert c("GET", "/tables/unheard").json == {"items": [], "count": None, "nextLink": None}


def test_sizes_of_long_rows(server):
    c = Client(server)
    for name, size in (("short", 10), ("long", 5000), ("longer", 9000)):
        row_of(c("POST", "/tables/sizes", {"id": name, "text": "x" * size}), 201)
    base = "/tables/sizes?$orderby=updatedAt"
    whole = {r["id"]: r for r in expect(c("GET", base), 200).json}
    assert all("@bytes" not in row for row in whole.values())
    shown = {r["id"]: r for r in expect(c("GET", base + "&__longest=4096"), 200).json}
    assert shown["short"] == whole["short"]
    for name in ("long", "longer"):
        row = whole[name]
        assert shown[name] == {"id": name, "updatedAt": row["updatedAt"], "version": row["version"], "deleted": False,
                               "@bytes": len(json.dumps(row, separators=(",", ":")))}, shown[name]
    for bad in ("0", "1023", "-1", "x", ""):
        expect(c("GET", base + "&__longest=" + bad), 400)


def test_versions_and_discovery(server):
    bare = Client(server, headers={})
    expect(bare("POST", "/tables/readings", {"id": "unversioned"}), 400)
    expect(bare("GET", "/tables/readings/unversioned", ZUMO_API_VERSION="2.0.0"), 404)
    assert bare("GET", "/tables/readings?ZUMO-API-VERSION=2.0.1").status == 200
    assert bare("GET", "/tables/readings?zumo-api-version=3.0.0").json["items"] is not None
    for bad in ("1.0", "2.1.0", "4.0.0", "two", "2.0.0.0", "9" * 300):
        expect(bare("GET", "/tables/readings", ZUMO_API_VERSION=bad), 400)
    document = expect(bare("GET", "/.well-known/holdfast"), 200)
    assert document.json["protocols"] == ["2.0", "3.0"]
    assert document.headers["Holdfast"] == "v=1"
    options = bare("OPTIONS", "/tables/readings")
    assert options.status == 204 and "POST" in options.headers["Allow"]


# ---- types

def test_changes(server):
    """A long poll: what has been changed by others, now or within a while."""
    mine, theirs = Client(server), Client(server, device="device2")
    row_of(theirs("POST", "/tables/readings", {"id": "changes-1", "value": 1}), 201)
    known = mine("GET", "/changes")
    assert known.status == 200 and known.headers["Content-Type"] == "text/plain"
    moment = known.body.decode()
    since = "/changes?since=" + urllib.parse.quote(moment)
    assert mine("GET", since).status == 204
    started = time.monotonic()
    assert mine("GET", since + "&wait_ms=300").status == 204
    assert time.monotonic() - started >= 0.3
    row_of(mine("POST", "/tables/readings", {"id": "changes-2", "value": 1}), 201)
    assert mine("GET", since).status == 204, "what one did oneself is no news"
    assert theirs("GET", since).status == 200

    answer = []
    waiting = threading.Thread(
        target=lambda: answer.append(Client(server)("GET", since + "&wait_ms=20000")))
    waiting.start()
    row_of(theirs("PATCH", "/tables/readings/changes-1", {"value": 2}))
    waiting.join(20)
    assert answer[0].status == 200 and answer[0].body.decode() > moment
    expect(mine("GET", "/changes?wait_ms=-1"), 400)
    expect(mine("GET", "/changes?wait_ms=99999999"), 400)
    expect(mine("POST", "/changes", {}), 405)
    expect(Client(server, device=None)("GET", "/changes"), 401)


def test_types(server):
    c = Client(server)
    values = {"big": 9007199254740993, "neg": -9223372036854775808, "real": 1.5e-7, "zero": 0,
              "text": "a\u0000b \u00e9 \U0001f600 \" \\ \n", "yes": True, "no": False, "none": None,
              "date": "2026-01-02T03:04:05.1234567+02:00"}
    values.pop("text")
    values["text"] = "\u00e9 \U0001f600 \" \\ \n \u0001"
    row = row_of(c("POST", "/tables/types", {"id": "1", **values}), 201)
    for name, value in values.items():
        assert row[name] == value and type(row[name]) is type(value), (name, row[name])
    row = row_of(c("POST", "/tables/types", '{"id":"2","real":1e400}'), 201)
    assert row["real"] is None
    row = row_of(c("PATCH", "/tables/types/2", {"real": "text now"}))
    assert row["real"] == "text now"
    expect(c("PATCH", "/tables/types/2", {"yes": 5}), 400)
    large = "x" * (1 << 20)
    expect(c("POST", "/tables/types", {"id": "3", "text": large}), 413)
    c = Client(server)
    row = row_of(c("POST", "/tables/types", {"id": "3", "text": large[:-200]}), 201)
    assert len(row["text"]) == (1 << 20) - 200
    expect(c("PATCH", "/tables/types/3", {"more": "y" * 10000}), 413)
    assert "more" not in c("GET", "/tables/types/3").json


if __name__ == "__main__":
    sys.exit(run(globals()))
