// What a program with npm's etcd3 does, with what every answer must be. It says "done" at
// the end, and exits with 1 at the first thing that is otherwise.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Etcd3, EtcdLeaseInvalidError, EtcdLockFailedError } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2].split(',').map((h) => `http://${h}`) });
const other = new Etcd3({ hosts: process.argv[2].split(',').map((h) => `http://${h}`) });

async function keys() {
  const first = await client.put('app/a').value('1');
  assert.equal(first.header.revision, '2');
  await client.put('app/b').value(2);
  assert.equal(await client.get('app/a').string(), '1');
  assert.equal(await client.get('app/b').number(), 2);
  assert.equal(await client.get('none'), null);
  assert.deepEqual(await client.getAll().prefix('app/').strings(), { 'app/a': '1', 'app/b': '2' });
  assert.deepEqual(await client.getAll().prefix('app/').sort('Key', 'Descend').limit(1).keys(), ['app/b']);
  assert.equal(await client.getAll().prefix('app/').count(), 2);
  const before = await client.put('app/a').value('3').getPrevious();
  assert.equal(before.value.toString(), '1');
  assert.equal(before.mod_revision, '2');
  assert.equal(await client.get('app/a').revision(2).string(), '1');
  const space = client.namespace('app/');
  assert.equal(await space.get('a').string(), '3');
  const deleted = await client.delete().prefix('app/');
  assert.equal(deleted.deleted, '2');
  assert.equal(deleted.header.revision, '5');
}

async function transactions() {
  const create = () => client.if('txn', 'Create', '==', 0)
    .then(client.put('txn').value('1'))
    .else(client.get('txn'))
    .commit();
  const first = await create();
  assert.equal(first.succeeded, true);
  const second = await create();
  assert.equal(second.succeeded, false);
  assert.equal(second.responses[0].response_range.kvs[0].mod_revision, first.header.revision);
  // Eight at a time count, each again until nobody was in between.
  await client.put('counter').value(0);
  await Promise.all(Array.from({ length: 8 }, () => client.stm({ retries: 100 }).transact(async (tx) => {
    const n = await tx.get('counter').number();
    await tx.put('counter').value(n + 1);
  })));
  assert.equal(await client.get('counter').number(), 8);
}

async function watches() {
  const from = (await client.put('w/0').value('0')).header.revision;
  const watcher = await client.watch().prefix('w/').startRevision(from).withPreviousKV().create();
  const seen = [];
  const all = new Promise((resolve) => watcher.on('data', (r) => {
    for (const e of r.events) {
      seen.push(`${e.type} ${e.kv.key} ${e.kv.value} was ${e.prev_kv ? e.prev_kv.value : null}`);
    }
    if (seen.length === 4) resolve();
  }));
  await client.put('w/1').value('1');
  await client.put('w/1').value('2');
  await client.delete().key('w/0');
  await all;
  assert.deepEqual(seen, ['Put w/0 0 was null', 'Put w/1 1 was null', 'Put w/1 2 was 1', 'Delete w/0  was 0']);
  await watcher.cancel();
}

async function leases() {
  const lease = client.lease(600);
  await lease.put('leased').value('here');
  const id = await lease.grant();
  await lease.keepaliveOnce();
  const left = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true });
  assert.equal(left.grantedTTL, '600');
  assert.deepEqual(left.keys.map(String), ['leased']);
  await lease.revoke();
  assert.equal(await client.get('leased'), null);
  await assert.rejects(client.put('late').lease(id).value('x').exec(), EtcdLeaseInvalidError);

  // One that the client keeps alive lives longer than its time, one that nobody does ends.
  const kept = client.lease(2);
  await kept.put('kept').value('here');
  const left2 = other.lease(2, { autoKeepAlive: false });
  await left2.put('lost').value('here');
  const watcher = await client.watch().key('lost').create();
  if ((await client.get('lost')) !== null) await once(watcher, 'delete');
  await once(kept, 'keepaliveSucceeded');
  assert.equal(await client.get('kept').string(), 'here');
  await watcher.cancel();
  await kept.revoke();
}

async function locks() {
  const held = client.lock('resource');
  await held.acquire();
  await assert.rejects(other.lock('resource').acquire(), EtcdLockFailedError);
  await held.release();
  assert.equal(await other.lock('resource').do(async () => 'inside'), 'inside');
}

async function elections() {
  const one = client.election('e').campaign('one');
  await once(one, 'elected');
  const observer = await other.election('e').observe();
  if (observer.leader() !== 'one') await once(observer, 'change');
  assert.equal(observer.leader(), 'one');
  const two = other.election('e').campaign('two');
  await two.getCampaignKey();
  const elected = once(two, 'elected');
  await one.resign();
  await elected;
  while (observer.leader() !== 'two') await once(observer, 'change');
  assert.equal(await client.election('e').leader(), 'two');
  await observer.cancel();
  await two.resign();
}

for (const part of [keys, transactions, watches, leases, locks, elections]) {
  await part();
  console.log(part.name);
}
client.close();
other.close();
console.log('done');
process.exit(0); // now and then a call of its own that was given up keeps it from ending, with etcd too
