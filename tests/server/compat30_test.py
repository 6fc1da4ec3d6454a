#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients of protocol 3.0 expect of a server, line by line.

usage: compat30_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import datetime
import email.utils
import sys
import urllib.parse

from harness import V2, V3, Client, expect, row_of, run

EARLY, LATE = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


def tag(row):
    return '"%s"' % row["version"]


def http_date(row, seconds=0):
    """updatedAt as an HTTP date, which has no parts of a second."""
    moment = datetime.datetime.fromisoformat(row["updatedAt"].replace("Z", "+00:00")).replace(microsecond=0)
    return email.utils.format_datetime(moment + datetime.timedelta(seconds=seconds), usegmt=True)


def fill(c, table, count):
    return [row_of(c("POST", "/tables/" + table, {"id": "r%d" % i, "n": i}), 201) for i in range(count)]


def pages(c, path, follow, **headers):
    """The pages of a list; `follow` makes the next path of a nextLink."""
    found = []
    while path is not None:
        page = expect(c("GET", path, **headers), 200).json
        assert list(page) == ["items", "count", "nextLink"], page
        found.append(page)
        path = None if page["nextLink"] is None else follow(page["nextLink"])
        assert len(found) < 50, "the list does not end"
    return found


def ids(found):
    return [r["id"] for page in found for r in page["items"]]


# ---- 14.1: versions, and lists in the shape of the version

def test_api_version(server):
    bare = Client(server, headers={})
    for good in ("3.0.0", "3.0.17", "3.0"):
        assert bare("GET", "/tables/ver3", ZUMO_API_VERSION=good).json == {"items": [], "count": None, "nextLink": None}
    assert "items" in bare("GET", "/tables/ver3?zumo-api-version=3.0.0").json
    for bad in ("", "3", "3.1.0", "3.0.x", "30.0", "4.0.0"):
        expect(bare("GET", "/tables/ver3", ZUMO_API_VERSION=bad), 400)
    # The telemetry of the clients changes nothing.
    answer = bare("GET", "/tables/ver3", ZUMO_API_VERSION="3.0.0", X_ZUMO_Version="Datasync/6.0 (lang=Managed)",
                  X_ZUMO_INSTALLATION_ID="6f0d", X_ZUMO_FEATURES="TT,OL", Accept_Encoding="gzip, deflate, br")
    assert answer.status == 200 and answer.headers["Content-Encoding"] is None
    assert answer.headers["x-zumo-server-version"].startswith("holdfast-")
    # One table, both versions: the rows are the same, members and all.
    three, two = Client(server, headers=V3), Client(server, headers=V2)
    row = row_of(three("POST", "/tables/ver3", {"id": "a", "n": 1}), 201)
    assert two("GET", "/tables/ver3").json == [row] and three("GET", "/tables/ver3").json["items"] == [row]
    assert row_of(two("GET", "/tables/ver3/a")) == row


def test_counts_and_shapes(server):
    c = Client(server, headers=V3)
    rows = fill(c, "counts3", 4)
    page = c("GET", "/tables/counts3?$count=true&$filter=n%20ge%202").json
    assert page == {"items": rows[2:], "count": 2, "nextLink": None}
    assert c("GET", "/tables/counts3?$count=false&$top=1").json == {"items": rows[:1], "count": None, "nextLink": None}
    assert c("GET", "/tables/counts3?$count=true&$top=0").json == {"items": [], "count": 4, "nextLink": None}
    assert c("GET", "/tables/counts3?$inlinecount=allpages&$top=1").json["count"] == 4, "both words are known"
    assert "$count" in expect(c("GET", "/tables/counts3?$count=maybe"), 400).json["error"]
    assert c("GET", "/tables/counts3?$select=n&$top=2").json["items"] == [{"n": 0}, {"n": 1}]
    assert "nope" in expect(c("GET", "/tables/counts3?$select=nope"), 400).json["error"]
    # More than a page may be asked for: what is left comes behind the link. Too much stays too much.
    page = c("GET", "/tables/counts3?$top=5000").json
    assert len(page["items"]) == 3 and "$top=4997" in page["nextLink"]
    assert c("GET", "/tables/counts3?$top=128000").status == 200
    expect(c("GET", "/tables/counts3?$top=128001"), 400)
    c("DELETE", "/tables/counts3/r0")
    assert c("GET", "/tables/counts3?$count=true").json["count"] == 3
    for option, header in (("__includedeleted=true", ""), ("__includeDeleted=TRUE", ""), ("", "include:deleted"),
                           ("", "nextLink=path, include:deleted")):
        page = c("GET", "/tables/counts3?$count=true&" + option, X_ZUMO_Options=header).json
        assert page["count"] == 4, (option, header)
    assert page["nextLink"].startswith("/tables/counts3?")


def test_filters(server):
    c = Client(server, headers=V3)
    guid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    for i, name in enumerate(("alpha", "Beta", None)):
        row_of(c("POST", "/tables/filters3", {"id": "f%d" % i, "name": name, "n": i, "ok": i == 1, "g": guid}), 201)
    moment = c("GET", "/tables/filters3/f1").json["updatedAt"]
    for text, wanted in (("contains(name,'lph')", ["f0"]), ("name in ('alpha','gamma')", ["f0"]),
                         ("(name eq null)", ["f2"]), ("(ok eq true)", ["f1"]),
                         ("not(startswith(name,'a'))", ["f1", "f2"]),
                         (f"(updatedAt gt cast({moment},Edm.DateTimeOffset))", ["f2"]),
                         (f"((n ge 0) and (updatedAt le cast({moment},Edm.DateTimeOffset)))", ["f0", "f1"]),
                         (f"updatedAt ge datetimeoffset'{moment}'", ["f1", "f2"]),
                         (f"g eq cast({guid},Edm.Guid)", ["f0", "f1", "f2"]), ("indexof(name,'e') eq 1", ["f1"])):
        answer = expect(c("GET", "/tables/filters3?$orderby=id&$filter=" + urllib.parse.quote(text)), 200)
        assert [r["id"] for r in answer.json["items"]] == wanted, text
    for bad in ("n eq", "geo.distance(a,b) lt 1", "nope eq 1", "n has 1", "cast(x,Edm.DateTimeOffset) gt updatedAt"):
        assert "$filter" in expect(c("GET", "/tables/filters3?$filter=" + urllib.parse.quote(bad)), 400).json["error"]
    for unknown in ("$expand=x", "$search=y", "$format=json", "__anything=1"):
        assert len(expect(c("GET", "/tables/filters3?" + unknown), 200).json["items"]) == 3


# ---- 14.5: order and links, as each client follows them

def test_next_links(server):
    c = Client(server, headers=V3)
    wanted = [r["id"] for r in fill(c, "links3", 8)]
    origin = f"https://127.0.0.1:{server.port}"

    def absolute(link):  # Microsoft.Datasync.Client: new Uri(nextLink)
        assert link.startswith(origin + "/tables/links3?"), link
        return link[len(origin):]

    def as_query(link):  # CommunityToolkit.Datasync: new UriBuilder(endpoint) { Query = nextLink }
        return "/tables/links3?" + link

    def path_only(link):
        assert link.startswith("/tables/links3?"), link
        return link

    for query in ("", "?$orderby=updatedAt&$count=true", "?$filter=(n%20ge%200)&$orderby=updatedAt&$count=true",
                  "?$count=true", "?$filter=n%20ge%200", "?$orderby=n&x=a%26b", "?$top=8", "?__includedeleted=true"):
        for follow, options in ((absolute, ""), (as_query, ""), (path_only, "nextLink=path")):
            found = pages(c, "/tables/links3" + query, follow, X_ZUMO_Options=options)
            assert ids(found) == wanted and len(found) == 3, (query, follow, ids(found))
            assert {p["count"] for p in found} == {8 if "$count" in query else None}
    # The filter holds to the end, whichever option comes first.
    for follow in (absolute, as_query):
        for query in ("?$filter=n%20ge%204&$orderby=updatedAt", "?$orderby=n&$filter=n%20ge%204"):
            assert ids(pages(c, "/tables/links3" + query, follow)) == wanted[4:], (query, follow)
    # $top is what is asked for in all, $skip where that begins.
    assert ids(pages(c, "/tables/links3?$top=5&$skip=2", absolute)) == wanted[2:7]
    assert ids(pages(c, "/tables/links3?$top=5&$skip=2&$orderby=n%20desc", as_query)) == wanted[::-1][2:7]
    assert "$skip=3" in c("GET", "/tables/links3").json["nextLink"]


def test_pull_while_rows_change(server):
    """The pull of the 3.0 clients goes by nextLink alone, and its token is the newest row it saw."""
    c, other = Client(server, headers=V3), Client(server, headers=V3)
    fill(c, "moving3", 9)
    c("DELETE", "/tables/moving3/r8")
    copy, token, changes = {}, None, 0
    for _ in range(3):
        gone = "" if token is None else f"$filter=(updatedAt%20gt%20cast({token},Edm.DateTimeOffset))&"
        path = f"/tables/moving3?{gone}$orderby=updatedAt&$count=true&__includedeleted=true"
        while path:
            page = expect(c("GET", path), 200).json
            copy.update((r["id"], r) for r in page["items"])
            if changes < 3:
                row_of(other("PATCH", "/tables/moving3/r%d" % changes, {"n": 100 + changes}))
                changes += 1
            path = page["nextLink"] and "/tables/moving3?" + page["nextLink"]
        token = max(r["updatedAt"] for r in copy.values())[:23] + "Z"
    assert set(copy) == {"r%d" % i for i in range(9)}, "nothing is passed over"
    assert [copy["r%d" % i]["n"] for i in range(4)] == [100, 101, 102, 3] and copy["r8"]["deleted"]


# ---- 14.2, 14.3, 14.8: validators and preconditions

def test_validators(server):
    c = Client(server, headers=V3)
    made = c("POST", "/tables/tags3", {"id": "a", "n": 1})
    row = row_of(made, 201)
    assert made.headers["Location"] == f"https://127.0.0.1:{server.port}/tables/tags3/a"
    for answer in (made, c("GET", "/tables/tags3/a"), c("HEAD", "/tables/tags3/a"), c("PATCH", "/tables/tags3/a", {}),
                   c("POST", "/tables/tags3", {"id": "a"}), c("PUT", "/tables/tags3/a", {"id": "a"}, If_Match='"x"')):
        assert answer.etag == tag(row) and answer.headers["Last-Modified"] == http_date(row), answer
    for answer in (c("GET", "/tables/tags3"), c("GET", "/tables/tags3/none"), c("DELETE", "/tables/tags3/a")):
        assert answer.etag is None and answer.headers["Last-Modified"] is None


def test_conditional_reads(server):
    c = Client(server, headers=V3)
    old = row_of(c("POST", "/tables/reads3", {"id": "a", "n": 1}), 201)
    row = row_of(c("PATCH", "/tables/reads3/a", {"n": 2}))
    for value in (tag(row), "*", "W/" + tag(row), '"x", ' + tag(row), row["version"]):
        for method in ("GET", "HEAD"):
            fresh = c(method, "/tables/reads3/a", If_None_Match=value)
            assert fresh.status == 304 and fresh.body == b"" and fresh.etag == tag(row), value
            assert fresh.headers["Last-Modified"] and fresh.headers["Content-Length"] is None
    for value in (tag(old), '"x"', '""'):
        assert row_of(c("GET", "/tables/reads3/a", If_None_Match=value)) == row
    assert row_of(c("GET", "/tables/reads3/a", If_Match=tag(row))) == row
    assert row_of(c("GET", "/tables/reads3/a", If_Match=tag(old)), 412) == row
    assert row_of(c("GET", "/tables/reads3/a", If_Unmodified_Since=EARLY), 412) == row
    assert row_of(c("GET", "/tables/reads3/a", If_Unmodified_Since=LATE)) == row
    for form in (LATE, "Friday, 01-Jan-38 00:00:00 GMT", "Fri Jan  1 00:00:00 2100", http_date(row, 1)):
        assert c("GET", "/tables/reads3/a", If_Modified_Since=form).status == 304, form
    # Within its second a row may have changed again: only its version tells.
    for form in (EARLY, "yesterday", "", http_date(row)):
        assert row_of(c("GET", "/tables/reads3/a", If_Modified_Since=form)) == row
    # Tags go before dates; a list has no validator.
    assert row_of(c("GET", "/tables/reads3/a", If_None_Match='"x"', If_Modified_Since=LATE)) == row
    assert row_of(c("GET", "/tables/reads3/a", If_Match=tag(row), If_Unmodified_Since=EARLY)) == row
    assert c("GET", "/tables/reads3", If_None_Match="*", If_Modified_Since=LATE).json["items"] == [row]
    # What is not there is not there.
    expect(c("GET", "/tables/reads3/none", If_None_Match="*"), 404)
    c("DELETE", "/tables/reads3/a")
    expect(c("GET", "/tables/reads3/a", If_None_Match="*"), 410)


def test_conditional_writes(server):
    c = Client(server, headers=V3)
    old = row_of(c("POST", "/tables/writes3", {"id": "a", "n": 1}, If_None_Match="*"), 201)
    row = row_of(c("PUT", "/tables/writes3/a", {"id": "a", "n": 2}, If_Match=tag(old)))
    writes = (("PUT", {"id": "a", "n": 3}), ("PATCH", {"n": 3}), ("DELETE", None), ("POST", None))
    for method, body in writes:
        for headers in ({"If_Match": tag(old)}, {"If_Match": "W/" + tag(row)}, {"If_None_Match": "*"},
                        {"If_None_Match": tag(row)}, {"If_Unmodified_Since": EARLY},
                        {"If_Unmodified_Since": http_date(row)}, {"If_Match": tag(row), "If_None_Match": "*"}):
            answer = c(method, "/tables/writes3/a", body, **headers)
            assert row_of(answer, 412) == row, (method, headers, answer)
    # An insert meets the row that has its id, whatever it was sent with.
    assert row_of(c("POST", "/tables/writes3", {"id": "a"}, If_None_Match="*"), 409) == row
    for headers in ({}, {"If_Match": "*"}, {"If_Match": '"x", TAG'}, {"If_None_Match": tag(old)},
                    {"If_Unmodified_Since": LATE}, {"If_Modified_Since": LATE}, {"If_Unmodified_Since": "never"},
                    {"If_Match": "TAG", "If_Unmodified_Since": EARLY}):
        now = {name: value.replace("TAG", tag(row)) for name, value in headers.items()}
        row = row_of(c("PUT", "/tables/writes3/a", {"id": "a", "n": row["n"] + 1}, **now))
    for headers in ({"If_Match": "*"}, {"If_None_Match": "*"}, {}):
        expect(c("PUT", "/tables/writes3/none", {"id": "none"}, **headers), 404)
        expect(c("DELETE", "/tables/writes3/none", **headers), 404)
    assert c("DELETE", "/tables/writes3/a", If_Match="*").status == 204


# ---- 3.3, 3.4: replace and merge

def test_replace_and_merge(server):
    c = Client(server, headers=V3)
    made = row_of(c("POST", "/tables/put3", {"id": "a", "n": 1, "s": "x", "b": True, "createdAt": "junk",
                                             "version": "AAAA", "updatedAt": "2001-01-01T00:00:00.000Z",
                                             "deleted": False}), 201)
    assert made["version"] != "AAAA" and made["updatedAt"] > "2020" and made["createdAt"] == made["updatedAt"]
    # A whole entity, stale members and all: they are the server's.
    put = row_of(c("PUT", "/tables/put3/a", {**made, "n": 2, "s": None, "version": "AAAA"}))
    assert put["n"] == 2 and put["s"] is None and put["b"] is True and put["updatedAt"] > made["updatedAt"]
    # What is left out becomes null.
    put = row_of(c("PUT", "/tables/put3/a", {"id": "a", "s": "y"}))
    assert (put["n"], put["s"], put["b"]) == (None, "y", None) and put["createdAt"] == made["createdAt"]
    for bad in ({"n": 1}, {"id": None, "n": 1}, {"id": "", "n": 1}, {"id": "b", "n": 1}, {"id": "A"}):
        expect(c("PUT", "/tables/put3/a", bad), 400)
    expect(c("PUT", "/tables/put3/none", {"id": "none"}), 404)
    expect(c("PUT", "/tables/put3", {"id": "a"}), 405)
    merged = row_of(c("PATCH", "/tables/put3/a", {"n": 5}, Content_Type="application/merge-patch+json"))
    assert (merged["n"], merged["s"]) == (5, "y")
    # JSON Patch is another language; the answer names those that are spoken.
    patch = '[{"op":"replace","path":"/n","value":6}]'
    refused = expect(c("PATCH", "/tables/put3/a", patch, Content_Type="application/json-patch+json"), 415)
    assert refused.headers["Accept-Patch"] == "application/json, application/merge-patch+json"
    expect(c("PATCH", "/tables/put3/a", patch), 400)
    for method, path in (("POST", "/tables/put3"), ("PUT", "/tables/put3/a")):
        for kind in ("text/plain", "application/merge-patch+json"):
            refused = expect(c(method, path, {"id": "a"}, Content_Type=kind), 415)
            assert refused.headers["Accept-Patch"] is None
    assert row_of(c("GET", "/tables/put3/a")) == merged


# ---- 14.4, 14.6: deletes and undeletes

def test_tombstones(server):
    c, two = Client(server, headers=V3), Client(server, headers=V2)
    first = fill(c, "tombs3", 1)[0]
    answer = c("DELETE", "/tables/tombs3/r0", If_Match=tag(first))
    assert answer.status == 204 and answer.body == b"" and answer.etag is None
    gone = row_of(c("GET", "/tables/tombs3/r0?__includedeleted=true"))
    assert gone["deleted"] is True and gone["n"] == 0 and gone["updatedAt"] > first["updatedAt"]
    for answer in (c("GET", "/tables/tombs3/r0"), c("HEAD", "/tables/tombs3/r0"), c("DELETE", "/tables/tombs3/r0"),
                   c("DELETE", "/tables/tombs3/r0", If_Match='"x"'), c("PATCH", "/tables/tombs3/r0", {"n": 1}),
                   c("PATCH", "/tables/tombs3/r0", {"n": 1, "deleted": None}),
                   c("PUT", "/tables/tombs3/r0", {"id": "r0", "deleted": False})):
        assert answer.status == 410 and answer.etag is None, answer
    expect(c("DELETE", "/tables/tombs3/never"), 404)
    assert two("GET", "/tables/tombs3/r0").status == 404, "the same row, in the words of 2.0"
    assert row_of(c("POST", "/tables/tombs3", {"id": "r0", "n": 7}), 409) == gone
    assert c("GET", "/tables/tombs3").json["items"] == []
    assert c("GET", "/tables/tombs3?__includedeleted=true").json["items"] == [gone]

    # PATCH {"deleted":false}, as Microsoft.Datasync.Client does it: with If-Match, the rest untouched.
    assert row_of(c("PATCH", "/tables/tombs3/r0", {"deleted": False}, If_Match=tag(first)), 412) == gone
    back = row_of(c("PATCH", "/tables/tombs3/r0", {"deleted": False}, If_Match=tag(gone)))
    assert back["deleted"] is False and back["n"] == 0 and back["updatedAt"] > gone["updatedAt"]
    # PUT with __includedeleted=true, as CommunityToolkit.Datasync does it; false may be left out.
    for body in ({"id": "r0", "n": 8, "deleted": False}, {"id": "r0", "n": 9}):
        c("DELETE", "/tables/tombs3/r0")
        expect(c("PUT", "/tables/tombs3/r0", body), 410)
        back = row_of(c("PUT", "/tables/tombs3/r0?__includedeleted=true", body))
        assert back["deleted"] is False and back["n"] == body["n"]
    # POST to the row works here too.
    c("DELETE", "/tables/tombs3/r0")
    back = row_of(c("POST", "/tables/tombs3/r0"), 201)
    assert back["deleted"] is False and c("GET", "/tables/tombs3").json["items"] == [back]
    # Nobody deletes by a member: to answer 200 and not do it would be worse than to refuse.
    for method, path, body in (("PATCH", "/tables/tombs3/r0", {"deleted": True}),
                               ("PUT", "/tables/tombs3/r0", {"id": "r0", "deleted": True}),
                               ("PUT", "/tables/tombs3/r0?__includedeleted=true", {"id": "r0", "deleted": True}),
                               ("POST", "/tables/tombs3", {"id": "new", "deleted": True}),
                               ("PATCH", "/tables/tombs3/r0", {"deleted": "false"})):
        assert "DELETE" in expect(c(method, path, body), 400).json["error"]
    assert row_of(c("GET", "/tables/tombs3/r0")) == back
    assert row_of(c("PATCH", "/tables/tombs3/r0", {"n": 3, "deleted": False}))["n"] == 3


def test_refusals(server):
    c = Client(server, headers=V3)
    fill(c, "refuse3", 1)
    for answer, status in ((c("GET", "/tables/refuse3/none"), 404), (c("GET", "/tables/refuse3?$top=x"), 400),
                           (c("POST", "/tables/refuse3", "{"), 400), (c("POST", "/tables/refuse3", ""), 400),
                           (c("DELETE", "/tables/refuse3"), 405),
                           (c("POST", "/tables/refuse3", "x", Content_Type="text/x"), 415),
                           (c("POST", "/tables/refuse3", {"id": "a/b"}), 400),
                           (c("GET", "/tables/refuse3", ZUMO_API_VERSION="5.0"), 400)):
        assert list(expect(answer, status).json) == ["error"], answer
        assert answer.headers["Content-Type"].startswith("application/json")
    expect(Client(server, headers=V3)("POST", "/tables/refuse3", {"id": "l", "s": "x" * (1 << 20)}), 413)
    expect(Client(server, device=None, headers=V3)("GET", "/tables/refuse3"), 401)
    # These clients put ids into the path as they are.
    for i in ("a|b:c.d-e_f", "A" * 127):
        row_of(c("POST", "/tables/refuse3", {"id": i}), 201)
        assert row_of(c("GET", "/tables/refuse3/" + i))["id"] == i
        assert c("DELETE", "/tables/refuse3/" + i).status == 204


if __name__ == "__main__":
    sys.exit(run(globals()))
