// What a program with npm's consul does; it says a word for each part that went well.
const Consul = require("consul");
const assert = require("node:assert");

const servers = process.argv[2].split(",").map((a) => {
  const [host, port] = a.split(":");
  return new Consul({ host, port: Number(port) });
});
let turn = 0;
const server = () => servers[turn++ % servers.length];

function seen(watch, what) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a watch never saw its change")), 20000);
    watch.on("change", (data, res) => {
      if (what(data, res)) {
        clearTimeout(timer);
        watch.end();
        resolve();
      }
    });
    watch.on("error", reject);
  });
}

async function keys() {
  assert.equal(await server().kv.set("npm/a", "1"), true);
  const got = await server().kv.get("npm/a");
  assert.equal(got.Value, "1");
  assert.ok(!(await server().kv.set({ key: "npm/a", value: "2", cas: String(got.ModifyIndex + 1) })));
  assert.equal(await server().kv.set({ key: "npm/a", value: "2", cas: String(got.ModifyIndex) }), true);
  assert.deepEqual(await server().kv.keys("npm/"), ["npm/a"]);
  assert.equal(await server().kv.get("npm/none"), undefined);
  const watch = server().watch({ method: server().kv.get, options: { key: "npm/a" }, backoffFactor: 100 });
  const change = seen(watch, (data) => data && data.Value === "3");
  await new Promise((r) => setTimeout(r, 100));
  await server().kv.set("npm/a", "3");
  await change;
  await server().kv.del({ key: "npm/", recurse: true });
}

async function sessions() {
  const { ID } = await server().session.create({ ttl: "15s", behavior: "delete", lockdelay: "1s" });
  assert.equal(await server().kv.set({ key: "npm/lock", value: "x", acquire: ID }), true);
  assert.equal((await server().kv.get("npm/lock")).Session, ID);
  assert.equal((await server().session.renew(ID))[0].ID, ID);
  await server().session.destroy(ID);
  assert.equal(await server().kv.get("npm/lock"), undefined);
}

async function services() {
  const agent = server();
  const watch = server().watch({ method: server().health.service, options: { service: "npm-web", passing: true }, backoffFactor: 100 });
  const there = seen(watch, (data) => data.length === 1 && data[0].Service.Port === 8080);
  await agent.agent.service.register({ name: "npm-web", id: "npm-web-1", port: 8080, tags: ["a"], check: { ttl: "30s" } });
  await agent.agent.check.pass("service:npm-web-1");
  await there;
  assert.ok((await server().catalog.service.list())["npm-web"]);
  assert.equal((await agent.agent.services())["npm-web-1"].Port, 8080);
  await agent.agent.service.deregister("npm-web-1");
  assert.ok((await server().status.leader()).length > 0);
  assert.ok((await agent.agent.self()).Config.NodeName);
}

async function eventually(holds) {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  throw new Error("it never came: " + holds);
}

async function checks() {
  const { agent } = server();
  await agent.service.register({ name: "npm-api", port: 80 });
  await agent.check.register({ name: "npm-disk", id: "npm-disk", serviceid: "npm-api", ttl: "30s" });
  for (const [tell, status] of [["warn", "warning"], ["fail", "critical"], ["pass", "passing"]]) {
    await agent.check[tell]("npm-disk");
    assert.equal((await agent.check.list())["npm-disk"].Status, status);
    await eventually(async () => (await server().health.checks("npm-api")).map((c) => c.Status).join() === status);
  }
  assert.ok((await server().health.state("passing")).some((c) => c.CheckID === "npm-disk"));
  const node = (await agent.self()).Config.NodeName;
  assert.ok((await server().health.node(node)).some((c) => c.CheckID === "serfHealth"));
  assert.ok((await server().catalog.node.list()).some((n) => n.Node === node));
  assert.ok((await server().catalog.node.services(node)).Services["npm-api"]);
  await agent.service.maintenance({ id: "npm-api", enable: true, reason: "a new disk" });
  await eventually(async () => (await server().health.service({ service: "npm-api", passing: true })).length === 0);
  await agent.service.maintenance({ id: "npm-api", enable: false });
  await agent.check.deregister("npm-disk");
  await agent.service.deregister("npm-api");
}

async function events() {
  const { ID } = await server().event.fire("npm-deploy", "v1");
  await eventually(async () => (await server().event.list("npm-deploy")).some((e) => e.ID === ID && e.Payload === "v1"));
}

async function queries() {
  await server().catalog.register({ node: "npm-q", address: "10.3.3.5", service: { service: "npm-queried", port: 2 } });
  const { ID } = await server().query.create({ name: "npm-query", service: { service: "npm-queried" } });
  assert.deepEqual((await server().query.execute("npm-query")).Nodes.map((n) => n.Service.Port), [2]);
  await server().query.update({ query: ID, name: "npm-query-2", service: { service: "npm-queried" } });
  assert.equal((await server().query.get(ID)).Name, "npm-query-2");
  assert.ok((await server().query.list()).some((q) => q.ID === ID));
  await server().query.destroy(ID);
  await server().catalog.deregister({ node: "npm-q" });
}

async function transactions() {
  const Value = Buffer.from("1").toString("base64");
  const got = await server().transaction.create([
    { KV: { Verb: "set", Key: "npm/t", Value } },
    { KV: { Verb: "get", Key: "npm/t" } },
  ]);
  assert.equal(got.Results.at(-1).KV.Value, Value);
  await server().kv.del("npm/t");
}

(async () => {
  for (const part of [keys, sessions, services, checks, events, queries, transactions]) {
    await part();
    console.log(part.name);
  }
  console.log("done");
  process.exit(0);
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
