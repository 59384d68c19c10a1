# What a program with python-consul does; it says a word for each part that went well.
import sys
import threading
import time

import consul

servers = [consul.Consul(host=h, port=int(p)) for h, p in (a.split(":") for a in sys.argv[1].split(","))]
turn = 0


def server():
    global turn
    turn += 1
    return servers[turn % len(servers)]


def keys():
    assert server().kv.put("py/a", "1")
    index, got = server().kv.get("py/a")
    assert got["Value"] == b"1" and int(index) == got["ModifyIndex"], got
    assert not server().kv.put("py/a", "2", cas=got["ModifyIndex"] + 1)
    assert server().kv.put("py/a", "2", cas=got["ModifyIndex"])
    index, got = server().kv.get("py/a")
    later = threading.Timer(0.2, lambda: server().kv.put("py/a", "3"))
    later.start()
    began = time.time()
    index, got = server().kv.get("py/a", index=index, wait="20s")
    assert got["Value"] == b"3" and 0.1 < time.time() - began < 15, got
    later.join()
    assert server().kv.get("py/", keys=True)[1] == ["py/a"]
    assert server().kv.delete("py/", recurse=True)
    assert server().kv.get("py/a")[1] is None


def sessions():
    sid = server().session.create(name="py", ttl=15, behavior="delete", lock_delay=1)
    assert server().kv.put("py/lock", "x", acquire=sid)
    assert server().kv.get("py/lock")[1]["Session"] == sid
    other = server().session.create(lock_delay=0)
    assert not server().kv.put("py/lock", "y", acquire=other)
    assert server().session.renew(sid)["ID"] == sid
    assert server().session.info(sid)[1]["TTL"] == "15s"
    assert server().session.destroy(sid)
    assert server().kv.get("py/lock")[1] is None
    server().session.destroy(other)


def services():
    agent = server()
    assert agent.agent.service.register("py-web", service_id="py-web-1", port=8080, tags=["a"], check=dict(consul.Check.ttl("30s"), Status="passing"))
    for _ in range(200):
        found = server().health.service("py-web", passing=True)[1]
        if found:
            break
        time.sleep(0.05)
    assert found[0]["Service"]["Port"] == 8080, found
    assert "py-web" in server().catalog.services()[1]
    assert "py-web-1" in agent.agent.services()
    assert agent.http.put(consul.base.CB.bool(), "/v1/agent/service/deregister/py-web-1")  # the client sends GET, which Consul refuses, too
    assert server().status.leader()
    assert agent.agent.self()["Config"]["NodeName"]
    assert server().catalog.register("py-node", "10.3.3.3", service={"Service": "py-db", "Port": 1})
    assert server().catalog.service("py-db")[1][0]["Address"] == "10.3.3.3"
    assert server().catalog.deregister("py-node")


def checks():
    agent = server()
    assert agent.agent.service.register("py-api", port=80)
    assert agent.agent.check.register("py-disk", consul.Check.ttl("30s"), check_id="py-disk", service_id="py-api")
    for tell, status in ((agent.agent.check.ttl_warn, "warning"), (agent.agent.check.ttl_fail, "critical"), (agent.agent.check.ttl_pass, "passing")):
        assert put(agent, tell, "py-disk")
        assert agent.agent.checks()["py-disk"]["Status"] == status
        eventually(lambda: [c["Status"] for c in server().health.checks("py-api")[1]] == [status])
    assert "py-disk" in [c["CheckID"] for c in server().health.state("passing")[1]]
    node = agent.agent.self()["Config"]["NodeName"]
    assert {"serfHealth", "py-disk"} <= {c["CheckID"] for c in server().health.node(node)[1]}
    assert node in [n["Node"] for n in server().catalog.nodes()[1]]
    assert "py-api" in server().catalog.node(node)[1]["Services"]
    assert put(agent, agent.agent.check.deregister, "py-disk")
    assert put(agent, agent.agent.service.deregister, "py-api")


def events():
    fired = server().event.fire("py-deploy", "v1")
    eventually(lambda: [e["ID"] for e in server().event.list("py-deploy")[1]] == [fired["ID"]])


def queries():
    assert server().catalog.register("py-q", "10.3.3.4", service={"Service": "py-queried", "Port": 2})
    made = server().query.create("py-queried", name="py-query")["ID"]
    assert [n["Service"]["Port"] for n in server().query.execute("py-query")["Nodes"]] == [2]
    assert server().query.get(made)[0]["Name"] == "py-query"
    assert made in [q["ID"] for q in server().query.list()]
    assert server().query.delete(made)
    assert server().catalog.deregister("py-q")


def coordinates():
    assert server().coordinate.nodes()[1] == []


def put(client, call, *args):
    """Does a call for which the client sends GET where Consul, too, wants PUT."""
    get, client.http.get = client.http.get, lambda callback, path, params=None, **kw: client.http.put(callback, path, params)
    try:
        return call(*args)
    finally:
        client.http.get = get


def eventually(holds):
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    assert holds()


for part in keys, sessions, services, checks, events, queries, coordinates:
    part()
    print(part.__name__)
print("done")
