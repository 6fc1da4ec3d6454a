#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients of protocol 2.0 expect of a server, line by line.

usage: compat20_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import json
import re
import sys
import urllib.parse

from harness import V2, Client, Server, expect, row_of, run

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def tag(row):
    return '"%s"' % row["version"]


def fill(c, table, count, **columns):
    return [row_of(c("POST", "/tables/" + table, {"id": "r%d" % i, "n": i, **columns}), 201)
            for i in range(count)]


def url(path, **options):
    """The options as the .NET client writes them: the names as they are, the values escaped."""
    names = {"includeDeleted": "__includeDeleted"}
    text = "&".join(names.get(name, "$" + name) + "=" + urllib.parse.quote(str(value), safe="(),'")
                    for name, value in options.items())
    return path + "?" + text


def next_of(answer, server):
    """The path of the next page, as the clients read it: all up to ';', then rel = next."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    found = re.fullmatch(r"(.+?);\s*rel\s*=\s*(\w+)\s*", link)
    assert found and found.group(2) == "next", link
    origin = f"https://127.0.0.1:{server.port}"
    assert found.group(1).lower().startswith(origin + "/tables/"), link
    return found.group(1)[len(origin):]


# ---- 14.1: versions, and lists in the shape of the version

def test_api_version(server):
    bare = Client(server, headers={})
    for good in ("2.0.0", "2.0.1", "2.0.17", "2.0", " 2.0.0 "):
        assert isinstance(expect(bare("GET", "/tables/ver", ZUMO_API_VERSION=good), 200).json, list)
    for option in ("ZUMO-API-VERSION", "zumo-api-version", "Zumo-Api-Version"):
        assert bare("GET", f"/tables/ver?{option}=2.0.0").json == []
    for bad in ("1.0", "2", "2.1.0", "2.0.x", "2.0.", "2.0.0.0", "20.0", "v2.0.0", "4.0.0"):
        text = expect(bare("GET", "/tables/ver", ZUMO_API_VERSION=bad), 400).json["error"]
        assert "ZUMO-API-VERSION" in text and "2.0.x" in text, text
    # The header wins over the option; what was refused has stored nothing.
    assert isinstance(bare("GET", "/tables/ver?ZUMO-API-VERSION=3.0.0", ZUMO_API_VERSION="2.0.0").json, list)
    expect(bare("GET", "/tables/ver?ZUMO-API-VERSION=2.0.0", ZUMO_API_VERSION="9.0"), 400)
    expect(bare("POST", "/tables/ver", {"id": "a"}), 400)
    expect(bare("GET", "/tables/ver/a", ZUMO_API_VERSION="2.0.0"), 404)
    options = bare("OPTIONS", "/tables/ver", Origin="http://localhost")
    assert options.status == 204 and options.body == b""


def test_list_shapes(server):
    c = Client(server)
    rows = fill(c, "shapes", 2)
    assert c("GET", "/tables/shapes").json == rows
    counted = c("GET", "/tables/shapes?$inlinecount=allpages").json
    assert counted == {"results": rows, "count": 2}
    assert c("GET", "/tables/shapes?$inlinecount=none").json == rows
    assert c("GET", "/tables/shapes?%24inlinecount=AllPages&%24top=1").json == {"results": rows[:1], "count": 2}
    assert c("GET", "/tables/shapes?$inlinecount=allpages&$filter=n%20gt%200").json["count"] == 1
    assert c("GET", "/tables/shapes?$inlinecount=allpages&$skip=2").json == {"results": [], "count": 2}
    assert c("GET", "/tables/shapes?$inlinecount=allpages&$top=0").json == {"results": [], "count": 2}
    assert c("GET", "/tables/nothing_yet?$inlinecount=allpages").json == {"results": [], "count": 0}
    assert "allpages" in expect(c("GET", "/tables/shapes?$inlinecount=yes"), 400).json["error"]
    # Every system column, in every row, deleted ones only when asked for.
    assert all(set(r) == {"id", "n", "createdAt", "updatedAt", "version", "deleted"} for r in rows)
    c("DELETE", "/tables/shapes/r0")
    assert c("GET", "/tables/shapes?$inlinecount=allpages").json["count"] == 1
    both = c("GET", "/tables/shapes?$inlinecount=allpages&__includeDeleted=true").json
    assert both["count"] == 2 and [r["deleted"] for r in both["results"]] == [False, True]
    for option in ("__includeDeleted=false", "__includeDeleted="):
        assert len(c("GET", "/tables/shapes?" + option).json) == 1
    assert len(c("GET", "/tables/shapes?__INCLUDEDELETED=True").json) == 2


def test_select(server):
    c = Client(server)
    fill(c, "selects", 2, s="x")
    assert c("GET", "/tables/selects?$select=n,s&$top=1").json == [{"n": 0, "s": "x"}]
    assert c("GET", "/tables/selects?$select=id,%20N&$top=1").json == [{"id": "r0", "n": 0}]
    row = c("GET", "/tables/selects?$select=version,updatedAt,deleted,createdAt&$top=1").json[0]
    assert list(row) == ["version", "updatedAt", "deleted", "createdAt"]
    everything = c("GET", "/tables/selects").json
    assert c("GET", "/tables/selects?$select=*").json == everything
    assert c("GET", "/tables/selects?$select=").json == everything
    # Each member once, also on the wire: a second one would make the object ambiguous.
    twice = c("GET", "/tables/selects?$select=n,n,N,id,id&$top=1")
    assert twice.body == b'[{"n":0,"id":"r0"}]', twice
    starred = c("GET", "/tables/selects?$select=s,*,n&$top=1")
    assert starred.body.count(b'"s":') == 1 and set(starred.json[0]) == set(everything[0])
    assert "no column nope" in expect(c("GET", "/tables/selects?$select=n,nope"), 400).json["error"]
    for bad in ("n,", ",n", "n;s", "n%20s", "(n)"):
        assert "$select" in expect(c("GET", "/tables/selects?$select=" + bad), 400).json["error"]
    # A page is followed also where the column of its order is not shown.
    first = c("GET", url("/tables/selects", select="n", orderby="updatedAt", top=2))
    assert first.json == [{"n": 0}, {"n": 1}] and first.headers["Link"] is None


# ---- 14.2: ETag

def test_etags(server):
    c = Client(server)
    made = row_of(c("POST", "/tables/tags", {"id": "a", "n": 1}), 201)
    answers = [c("GET", "/tables/tags/a"), c("HEAD", "/tables/tags/a"),
               c("POST", "/tables/tags", {"id": "a"}), c("PATCH", "/tables/tags/a", {"n": 2}, If_Match='"x"'),
               c("PATCH", "/tables/tags/a", {}), c("DELETE", "/tables/tags/a", If_Match='"x"')]
    assert [a.status for a in answers] == [200, 200, 409, 412, 200, 412]
    for answer in answers:
        assert answer.headers.get_all("ETag") == [tag(made)]
        assert answer.headers["Last-Modified"] is None
    assert answers[1].body == b"" and int(answers[1].headers["Content-Length"]) == len(answers[0].body)
    # Versions are base64, and each change makes another.
    seen = {made["version"]}
    for n in range(200):
        version = row_of(c("PATCH", "/tables/tags/a", {"n": n}))["version"]
        assert re.fullmatch(r"[A-Za-z0-9+/]{8}", version) and version not in seen
        seen.add(version)
    # Lists and refusals have none: a hash of a body would be taken for a row's version.
    for answer in (c("GET", "/tables/tags"), c("GET", "/tables/tags/none"), c("GET", "/tables/tags?$top=x"),
                   c("POST", "/tables/tags", "{"), c("DELETE", "/tables/tags/none")):
        assert answer.etag is None, answer


# ---- 14.3, 14.8: preconditions; the row as it is in each 409 and 412

def test_if_match(server):
    c = Client(server)
    old = row_of(c("POST", "/tables/pre", {"id": "a", "n": 1}), 201)
    row = row_of(c("PATCH", "/tables/pre/a", {"n": 2}))
    for method, path, body in (("PATCH", "/tables/pre/a", {"n": 3}), ("PUT", "/tables/pre/a", {"id": "a", "n": 3}),
                               ("DELETE", "/tables/pre/a", None), ("POST", "/tables/pre/a", None)):
        for stale in (tag(old), old["version"], '"zzz"', "W/" + tag(row), '"%s, "' % row["version"],
                      '"a", "b"', '""'):
            assert row_of(c(method, path, body, If_Match=stale), 412) == row, (method, stale)
    for good in (lambda: tag(row), lambda: row["version"], lambda: "*", lambda: '"a", %s' % tag(row),
                 lambda: " " + tag(row) + " "):
        row = row_of(c("PATCH", "/tables/pre/a", {"n": row["n"] + 1}, If_Match=good()))
    # No If-Match: the last writer wins. Never is one demanded.
    row = row_of(c("PATCH", "/tables/pre/a", {"n": 90}))
    row = row_of(c("PUT", "/tables/pre/a", {"id": "a", "n": 91}))
    # In several lines it is one list.
    c.connection.putrequest("PATCH", "/tables/pre/a")
    body = b'{"n":92}'
    for name, value in (("ZUMO-API-VERSION", "2.0.0"), ("If-Match", '"first"'), ("If-Match", tag(row)),
                        ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
        c.connection.putheader(name, value)
    c.connection.endheaders(body)
    answer = c.connection.getresponse()
    assert answer.status == 200 and json.loads(answer.read())["n"] == 92
    # What is missing is missing, whatever was expected of it.
    for method, body in (("PATCH", {"n": 1}), ("PUT", {"id": "none"}), ("DELETE", None), ("POST", None)):
        for value in ("*", tag(row)):
            expect(c(method, "/tables/pre/none", body, If_Match=value), 404)
    # 2.0 knows no other precondition: its servers answer as if none were there.
    row = c("GET", "/tables/pre/a").json
    late, early = "Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"
    assert row_of(c("GET", "/tables/pre/a", If_None_Match=tag(row))) == row
    assert row_of(c("GET", "/tables/pre/a", If_Modified_Since=late)) == row
    assert row_of(c("GET", "/tables/pre/a", If_Match='"x"')) == row
    row_of(c("PATCH", "/tables/pre/a", {"n": 1}, If_None_Match="*", If_Unmodified_Since=early))


def test_version_in_the_body(server):
    c = Client(server)
    old = row_of(c("POST", "/tables/bodies", {"id": "a", "version": "MQ==", "n": 1}), 201)
    assert old["version"] != "MQ==", "the server makes versions"
    row = row_of(c("PATCH", "/tables/bodies/a", {"n": 2, "version": old["version"]}))
    assert row_of(c("PATCH", "/tables/bodies/a", {"n": 3, "version": old["version"]}), 409) == row
    assert row_of(c("PUT", "/tables/bodies/a", {"id": "a", "version": old["version"]}), 409) == row
    # If-Match overrides it, and then the status is 412.
    row_of(c("PATCH", "/tables/bodies/a", {"n": 3, "version": row["version"]}, If_Match=tag(old)), 412)
    row = row_of(c("PATCH", "/tables/bodies/a", {"n": 3, "version": old["version"]}, If_Match=tag(row)))
    row_of(c("PATCH", "/tables/bodies/a", {"n": 4, "version": None}))
    row_of(c("PATCH", "/tables/bodies/a", {"n": 5, "version": ""}))


def test_bodies_of_writes(server):
    c = Client(server)
    row = row_of(c("POST", "/tables/writes", {"id": "a", "n": 1, "s": "x"}), 201)
    for name in ("createdAt", "updatedAt", "deleted", "DELETED"):
        for method, path in (("POST", "/tables/writes"), ("PATCH", "/tables/writes/a")):
            text = expect(c(method, path, {name: row.get(name, True)}), 400).json["error"]
            assert name in text and "reserved" in text
    assert "did not match" in expect(c("PATCH", "/tables/writes/a", {"id": "b"}), 400).json["error"]
    merged = row_of(c("PATCH", "/tables/writes/a", {"id": "a", "s": None}))
    assert merged["n"] == 1 and merged["s"] is None
    replaced = row_of(c("PUT", "/tables/writes/a", {"id": "a", "s": "y"}))
    assert replaced["n"] is None and replaced["createdAt"] == row["createdAt"]
    unchanged = row_of(c("PATCH", "/tables/writes/a", {}))
    assert unchanged == replaced, "an empty patch is no change"
    for bad in ("", "{", "[]", "[{}]", "null", "1", '"x"', '{"id":"b"', '{"id":"b"}x', "{'id':'b'}",
                '{"n":{"x":1}}', '{"n":[1]}', '{"id":true}', '{"id":{}}', '{"n":1,"n":2}'):
        assert expect(c("POST", "/tables/writes", bad), 400).json["error"], bad
    for good in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        row_of(c("POST", "/tables/writes", {"n": 1}, Content_Type=good), 201)
    for bad in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
        assert "application/json" in expect(c("POST", "/tables/writes", {"n": 1}, Content_Type=bad), 415).json["error"]
    refused = expect(c("PATCH", "/tables/writes/a", "[]", Content_Type="application/json-patch+json"), 415)
    assert "application/merge-patch+json" in refused.headers["Accept-Patch"]
    row_of(c("PATCH", "/tables/writes/a", {"n": 3}, Content_Type="application/merge-patch+json"))
    expect(c("POST", "/tables/writes", {"n": 1}, Content_Encoding="gzip"), 415)
    assert len(c("GET", "/tables/writes?$top=3&$inlinecount=allpages").json["results"]) == 3


# ---- 14.4, 14.6: deletes, undeletes, tombstones

def test_tombstones(server):
    c = Client(server)
    fill(c, "tombs", 1)
    first = row_of(c("GET", "/tables/tombs/r0"))
    gone = row_of(c("DELETE", "/tables/tombs/r0"))
    assert gone["deleted"] is True and gone["n"] == 0 and gone["createdAt"] == first["createdAt"]
    assert gone["updatedAt"] > first["updatedAt"] and gone["version"] != first["version"]
    for answer in (c("DELETE", "/tables/tombs/r0"), c("DELETE", "/tables/tombs/r0", If_Match=tag(gone)),
                   c("DELETE", "/tables/tombs/never"), c("GET", "/tables/tombs/r0"),
                   c("PATCH", "/tables/tombs/r0", {"n": 1}), c("PUT", "/tables/tombs/r0", {"id": "r0"})):
        assert isinstance(expect(answer, 404).json["error"], str)
    # An insert does not raise it: the client gets to see what is there.
    assert row_of(c("POST", "/tables/tombs", {"id": "r0", "n": 5}), 409) == gone
    assert c("GET", "/tables/tombs").json == []
    assert c("GET", "/tables/tombs?__includeDeleted=true").json == [gone]
    assert c("GET", "/tables/tombs?__includeDeleted=true&$filter=deleted%20eq%20true").json == [gone]
    assert row_of(c("GET", "/tables/tombs/r0?__includeDeleted=true")) == gone
    # POST to the row raises it, with all that it held.
    assert row_of(c("POST", "/tables/tombs/r0", If_Match=tag(first)), 412) == gone
    back = row_of(c("POST", "/tables/tombs/r0", If_Match=tag(gone)), 201)
    assert back["deleted"] is False and back["n"] == 0 and back["updatedAt"] > gone["updatedAt"]
    again = row_of(c("POST", "/tables/tombs/r0"), 201)
    assert again["updatedAt"] > back["updatedAt"] and again["version"] != back["version"]
    expect(c("POST", "/tables/tombs/never"), 404)
    assert c("GET", "/tables/tombs").json == [again]


def test_hard_deletes(_):
    server = Server()
    schema = server.data + "/declared.json"
    with open(schema, "w") as out:
        json.dump({"tables": {"hard": {"hard_delete": True, "columns": {"n": "integer", "at": "datetime"}}}}, out)
    server.start("--schema", schema)
    c, three = Client(server), Client(server, headers={"ZUMO-API-VERSION": "3.0.0"})
    rows = [row_of(c("POST", "/tables/hard", {"id": "h%d" % i, "n": i}), 201) for i in range(3)]
    assert row_of(c("DELETE", "/tables/hard/h0", If_Match='"x"'), 412) == rows[0]
    assert row_of(c("DELETE", "/tables/hard/h0", If_Match=tag(rows[0]))) == rows[0], "the row as it was"
    gone = three("DELETE", "/tables/hard/h1")
    assert gone.status == 204 and gone.body == b"" and gone.etag is None
    for client in (c, three):
        for path in ("/tables/hard/h0", "/tables/hard/h1"):
            expect(client("GET", path), 404)
            expect(client("GET", path + "?__includeDeleted=true"), 404)
            expect(client("DELETE", path), 404)
            expect(client("PATCH", path, {"n": 1}), 404)
            expect(client("POST", path), 404)
    assert c("GET", "/tables/hard?__includeDeleted=true").json == [rows[2]]
    assert c("GET", "/tables/hard?__includeDeleted=true&$inlinecount=allpages&$filter=deleted%20eq%20true").json == {
        "results": [], "count": 0}
    # The id is free again, the moments still grow, and other tables keep their tombstones.
    anew = row_of(c("POST", "/tables/hard", {"id": "h0", "n": 9}), 201)
    assert anew["updatedAt"] > rows[2]["updatedAt"] and anew["version"] not in [r["version"] for r in rows]
    row_of(c("POST", "/tables/soft", {"id": "s"}), 201)
    c("DELETE", "/tables/soft/s")
    assert c("GET", "/tables/soft?__includeDeleted=true").json[0]["deleted"] is True
    # A table that is declared: dates in one form, and nothing of another kind.
    for text in ("2026-01-02T03:04:05.6789012+02:00", "2026-01-02T01:04:05.678Z"):
        assert row_of(c("PATCH", "/tables/hard/h0", {"at": text}))["at"] == "2026-01-02T01:04:05.678Z"
    assert "dates" in expect(c("PATCH", "/tables/hard/h0", {"at": "yesterday"}), 400).json["error"]
    assert "integers" in expect(c("PATCH", "/tables/hard/h0", {"n": 1.5}), 400).json["error"]
    # It holds after a restart, without the file too: the table knows.
    server.stop()
    server.start()
    c = Client(server)
    row_of(c("DELETE", "/tables/hard/h0"))
    assert [r["id"] for r in c("GET", "/tables/hard?__includeDeleted=true").json] == ["h2"]
    server.close()


# ---- 14.5: order and links

def test_links(server):
    c = Client(server)
    rows = fill(c, "links", 7)
    base = "/tables/links"
    for path in (base, base + "?$orderby=updatedAt", base + "?$orderby=n", base + "?$orderby=n%20desc,id",
                 base + "?%24orderby=deleted", base + "?$filter=(n%20ge%200)",
                 base + "?custom=a%26b&$inlinecount=allpages", base + "/?$top=7",
                 "/Tables/LINKS", base + "?$orderby=updatedAt%20desc", base + "?$select=id"):
        seen, here, pages = [], path, 0
        while here:
            answer = expect(c("GET", here), 200)
            page = answer.json["results"] if isinstance(answer.json, dict) else answer.json
            seen += [r["id"] for r in page]
            here, pages = next_of(answer, server), pages + 1
            assert here is None or here.split("?")[0] == path.split("?")[0], "the same path"
        wanted = [r["id"] for r in rows]
        assert seen == (wanted[::-1] if "desc" in path else wanted) and pages == 3, (path, seen)
    # $skip advanced, $top reduced, the rest as it came; none where all that was asked for is there.
    link = next_of(c("GET", base + "?$top=5&$filter=n%20ge%200&$skip=1&x=%2B"), server)
    options = urllib.parse.parse_qs(link.split("?")[1])
    assert options["$skip"] == ["4"] and options["$top"] == ["2"] and options["x"] == ["+"]
    assert "$filter=n%20ge%200&x=%2B&" in link
    assert [r["n"] for r in c("GET", link).json] == [4, 5]
    for path in ("?$top=3", "?$top=2", "?$skip=4", "?$skip=7", "?$top=0", "?$filter=n%20lt%203"):
        assert c("GET", base + path).headers["Link"] is None, path
    for bad in ("$top=x", "$top=-1", "$top=1001", "$top=1.5", "$skip=x", "$skip=-1", "__after=x"):
        assert expect(c("GET", base + "?" + bad), 400).json["error"], bad


def test_links_while_rows_change(server):
    """A row that changes between two pages moves to the end; none that stayed may be passed over."""
    c, other = Client(server), Client(server)
    for order in ("", "?$orderby=updatedAt", "?$orderby=updatedAt,id&__includeDeleted=true"):
        table = "/tables/moving%d" % len(order)
        for i in range(9):
            row_of(c("POST", table, {"id": "r%d" % i, "n": 0}), 201)
        seen, here, changes = [], table + order, 0
        while here:
            answer = expect(c("GET", here), 200)
            seen += [r["id"] for r in answer.json]
            if changes < 3:
                row_of(other("PATCH", table + "/r%d" % changes, {"n": 1}))
                changes += 1
            here = next_of(answer, server)
        assert set(seen) == {"r%d" % i for i in range(9)}, (order, seen)
        assert seen[-3:] == ["r0", "r1", "r2"], "and those that changed come again"


# ---- 14.7: options that are unknown, and filters that are wrong

def test_unknown_and_wrong_options(server):
    c = Client(server)
    rows = fill(c, "asks", 2)
    for option in ("__systemProperties=*", "__systemProperties=__createdAt,__version", "api-key=1", "$expand=x",
                   "$format=json", "a", "=", "&&", "x=%00", "__proto__=1"):
        assert expect(c("GET", "/tables/asks?" + option), 200).json == rows, option
        row_of(c("GET", "/tables/asks/r0?" + option))
    for bad in ("n eq", "n eq 1 and", "(n eq 1", "n = 1", "nope eq 1", "nope(n) eq 1", "n eq 'a", "n eq 1)",
                "__updatedAt ge datetimeoffset'2020-01-01T00:00:00Z'", "updatedAt ge datetimeoffset'x'",
                "1; DROP TABLE asks", "n eq 1 n eq 2", "'"):
        answer = expect(c("GET", url("/tables/asks", filter=bad)), 400)
        assert "$filter" in answer.json["error"], (bad, answer)
    for bad in ("nope", "n up", "n,,id", "n desc asc"):
        assert "$orderby" in expect(c("GET", url("/tables/asks", orderby=bad)), 400).json["error"]
    for bad in ("%", "%zz", "%ff"):
        expect(c("GET", "/tables/asks?$filter=" + bad), 400)


# ---- 8: each client's own pull, to its end

def pull(server, client, table, first, advance):
    """Runs a pull; `advance(state, rows, answer)` gives the next path, or None."""
    copy, path, state = {}, first, {}
    for _ in range(50):
        answer = expect(client("GET", path), 200)
        copy.update((r["id"], r) for r in answer.json)
        path = advance(state, answer.json, answer)
        if path is None:
            return copy
    raise AssertionError("the pull of %s does not end" % table)


def test_pulls_of_each_client(server):
    c = Client(server)
    fill(c, "pulls", 10)
    row_of(c("DELETE", "/tables/pulls/r4"))
    row_of(c("PATCH", "/tables/pulls/r2", {"n": 20}))
    path, whole = "/tables/pulls?__includeDeleted=true", {}
    while path:
        answer = c("GET", path)
        whole.update((r["id"], r) for r in answer.json)
        path = next_of(answer, server)
    assert len(whole) == 10

    def net(token, skip=0):
        return url("/tables/pulls", filter=f"((n ge 0) and (updatedAt ge datetimeoffset'{token}'))",
                   orderby="updatedAt", skip=skip, top=50, includeDeleted="true")

    def net_advance(state, rows, answer):  # .NET: the link first; then the newest moment; until empty
        for row in rows:
            state["token"] = max(state.get("token", ""), row["updatedAt"])
        if (link := next_of(answer, server)) is not None:
            return link
        if not rows:
            return None
        token = state["token"].replace("Z", "0+00:00")
        state["skip"] = state.get("skip", 0) + len(rows) if state.get("last") == token else 0
        state["last"] = token
        return net(token, state["skip"])

    def js(token, skip=0):  # JavaScript: a date of milliseconds, no link, until empty
        return url("/tables/pulls", filter=f"((n ge 0) and (updatedAt ge datetimeoffset'{token}'))",
                   orderby="updatedAt", top=50, skip=skip, includeDeleted="true")

    def js_advance(state, rows, _):
        if not rows:
            return None
        token = rows[-1]["updatedAt"][:23] + "Z"
        state["skip"] = state.get("skip", 0) + len(rows) if state.get("token") == token else 0
        state["token"] = token
        return js(token, state["skip"])

    def android(token, skip=0):  # the date in brackets of its own
        return url("/tables/pulls", filter=f"updatedAt ge (datetimeoffset'{token}')", orderby="updatedAt asc",
                   top=50, skip=skip, includeDeleted="true")

    def android_advance(state, rows, _):
        if not rows:
            return None
        token = rows[-1]["updatedAt"][:23] + "Z"
        state["skip"] = state.get("skip", 0) + len(rows) if state.get("token") == token else 0
        state["token"] = token
        return android(token, state["skip"])

    def plain_advance(state, rows, _):  # without a query id: $skip by the rows that came, until empty
        state["skip"] = state.get("skip", 0) + len(rows)
        return url("/tables/pulls", skip=state["skip"], top=50, includeDeleted="true") if rows else None

    for first, advance in ((net("1970-01-01T00:00:00.0000000+00:00"), net_advance),
                           (js("1970-01-01T00:00:00.000Z"), js_advance),
                           (url("/tables/pulls", orderby="updatedAt asc", top=50, includeDeleted="true"),
                            android_advance),
                           (url("/tables/pulls", skip=0, top=50, includeDeleted="true"), plain_advance)):
        copy = pull(server, c, "pulls", first, advance)
        assert copy == whole, first
        assert copy["r4"]["deleted"] and copy["r2"]["n"] == 20 and MOMENT.fullmatch(copy["r2"]["updatedAt"])
    # A date of seven digits, and its '+' escaped, as .NET writes it.
    newest = max(r["updatedAt"] for r in whole.values())
    path = net(newest.replace("Z", "0+00:00"))
    assert "%2B00%3A00" in path and [r["updatedAt"] for r in c("GET", path).json] == [newest]


# ---- 1, 3.8, 10: places, ids, methods, sizes, and how a refusal looks

def test_places_ids_and_methods(server):
    c = Client(server)
    for place in ("/", "/tables", "/tables/", "/api/x", "/push/installations/x", "/tables/a/b/c", "/.auth/me"):
        assert expect(c("GET", place), 404).json["error"], place
    collection, row = c("OPTIONS", "/tables/meth").headers["Allow"], c("OPTIONS", "/tables/meth/a").headers["Allow"]
    for method, path, allow in (("DELETE", "/tables/meth", collection), ("PUT", "/tables/meth", collection),
                                ("TRACE", "/tables/meth/a", row), ("PROPFIND", "/tables/meth/a", row)):
        refused = expect(c(method, path), 405)
        assert refused.headers["Allow"] == allow and method not in allow.split(", ")
    assert {"GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"} == set(row.split(", "))
    for i in ("a b", "a|b:c.d-e_f~", "\u00e9\u4e16", "a&b=c", "a%2", "x" * 255, "{guid}", "a#b", "a;b", "a,b"):
        path = "/tables/ids/" + urllib.parse.quote(i, safe="")
        made = c("POST", "/tables/ids", {"id": i})
        assert row_of(made, 201)["id"] == i
        assert made.headers["Location"].endswith(path)
        for method, status in (("GET", 200), ("DELETE", 200), ("POST", 201)):
            assert row_of(c(method, path), status)["id"] == i
    for bad in ("a/b", 'a"b', "a\\b", "a?b", "a+b", "a`b", "a\nb", "\u007f", "..", ".", "x" * 256):
        assert "id" in expect(c("POST", "/tables/ids", {"id": bad}), 400).json["error"], bad
    assert row_of(c("POST", "/tables/ids", {"id": None}), 201)["id"]


def test_refusals_and_sizes(server):
    c = Client(server)
    c("POST", "/tables/sizes", {"id": "a"})
    for answer in (c("GET", "/tables/sizes/none"), c("GET", "/tables/sizes?$top=x"), c("POST", "/tables/sizes", "{"),
                   c("PUT", "/tables/sizes"), c("POST", "/tables/sizes", "x", Content_Type="text/plain"),
                   c("GET", "/nowhere"), c("GET", "/tables/sizes?x=" + "y" * 9000)):
        assert answer.status in (400, 404, 405, 414, 415), answer
        assert list(answer.json) == ["error"] and len(answer.json["error"]) > 8
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["x-zumo-server-version"].startswith("holdfast-")
        assert answer.headers["Cache-Control"] == "no-cache"
    # More than the 100 kB of the old servers, up to the row's limit; then 413, and the link stays usable.
    assert len(row_of(c("POST", "/tables/sizes", {"id": "b", "s": "x" * 200_000}), 201)["s"]) == 200_000
    refused = expect(Client(server)("POST", "/tables/sizes", {"id": "c", "s": "x" * (1 << 20)}), 413)
    assert refused.json["error"] and refused.etag is None
    expect(c("GET", "/tables/sizes/c"), 404)
    for table in ("1a", "a-b", "__meta", "sqlite_x", "x" * 65):
        assert "table" in expect(c("GET", "/tables/" + table), 400).json["error"]
    expect(Client(server, device=None, headers=V2)("GET", "/tables/sizes"), 401)


if __name__ == "__main__":
    sys.exit(run(globals()))
