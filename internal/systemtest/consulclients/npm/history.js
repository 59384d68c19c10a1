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

(async () => {
  for (const part of [keys, sessions, services]) {
    await part();
    console.log(part.name);
  }
  console.log("done");
  process.exit(0);
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
