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


for part in keys, sessions, services:
    part()
    print(part.__name__)
print("done")
