import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { capability, loadCapabilities } from '../src/capabilities.ts';
import type { Capability, Context, Loaded, Plugged } from '../src/capabilities.ts';
import { createProgram } from '../src/commands/program.ts';
import { createLog } from '../src/log.ts';
import { readServeSettings, serveSchema, serveWarnings } from '../src/serve-settings.ts';
import { startService } from '../src/service.ts';
import type { Service, ServiceOptions } from '../src/service.ts';
import { changedSettings } from '../src/settings/changed.ts';
import type { Settings } from '../src/settings.ts';
import { boolean, duration } from '../src/settings/parsers.ts';
import { SettingsError } from '../src/settings/schema.ts';
import type { Setting, Values } from '../src/settings/schema.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { until } from './support/until.ts';

// Everything here is about made-up capabilities, so that it holds whichever there are.

const setting = <T>(definition: Setting<T>): Setting<T> => definition;

const DOORBELL = {
  doorbell: setting({
    variable: 'DOORBELL',
    flag: '--doorbell [bool]',
    help: 'ring at /ring',
    fallback: false,
    fallbackText: 'false',
    example: 'true',
    parse: boolean,
  }),
  ringFor: setting({
    variable: 'RING_FOR',
    flag: '--ring-for <duration>',
    help: 'how long it rings',
    fallback: 1000,
    fallbackText: '1s',
    example: '2s',
    parse: duration(1000, 60_000),
  }),
} as const;

type Own = Values<typeof DOORBELL>;

interface Doorbell {
  readonly definition: Capability;
  readonly loads: () => number;
}

/** A capability with a route, a front handler and an open path; `plug` may be another one. */
function doorbell(plug: (context: Context<Own>) => Plugged | Promise<Plugged> = ringing): Doorbell {
  let loads = 0;
  const definition = capability<typeof DOORBELL>({
    name: 'door-bell',
    settings: DOORBELL,
    checks: [
      ({ ringFor, serveMaxStaleness }) =>
        ringFor !== undefined && serveMaxStaleness !== undefined && ringFor > serveMaxStaleness
          ? [{ key: 'ringFor', expected: 'at most SERVE_MAX_STALENESS' }]
          : [],
    ],
    isOn: (values) => values.doorbell,
    warnings: (values) => (values.doorbell ? [] : ['nobody will hear the door']),
    load: async () => {
      loads++;
      return await Promise.resolve({ plug });
    },
  });
  return { definition, loads: () => loads };
}

const ringing = ({ settings }: Context<Own>): Plugged => ({
  http: ({ lookup }) => ({
    front(request, response) {
      if (request.url === '/throw') throw new Error('planted');
      if (request.url !== '/ring') return false;
      response.end(`ring for ${settings.ringFor} ms, ${lookup.constructor.name}`);
      return true;
    },
    routes: (app) => void app.get('/bell', { schema: { summary: 'The bell' } }, () => 'a bell'),
  }),
});

const read = (environment: Record<string, string>, capabilities: readonly Capability[]): Settings =>
  readServeSettings({ flags: {}, environment }, capabilities);

test('settings of the core and of all capabilities are read together, and everything wrong is told at once', () => {
  const { definition } = doorbell();
  assert.throws(
    () =>
      read({ PORT: 'x', RING_FOR: '30s', READY_MAX_STALENESS: '10s', SERVE_MAX_STALENESS: '20s', DOORBELL: 'loud' }, [
        definition,
      ]),
    (error) => {
      assert.ok(error instanceof SettingsError);
      assert.deepEqual(
        error.problems.map((problem) => problem.split(' ')[0]),
        ['PORT', 'DOORBELL', 'RING_FOR'],
      );
      assert.match(error.problems[2] ?? '', /"30s": must be at most SERVE_MAX_STALENESS/);
      return true;
    },
  );
  const settings = read({ PORT: '81', RING_FOR: '5s' }, [definition]);
  assert.deepEqual([settings.port, (settings as unknown as Own).ringFor], [81, 5000]);
  assert.ok(Object.isFrozen(settings));
  assert.deepEqual(changedSettings(serveSchema([definition]), settings), { PORT: 81, RING_FOR: '5s' });
  assert.deepEqual(serveWarnings(settings, [definition]), ['nobody will hear the door']);
});

test('a capability that is off is not even loaded', async () => {
  const [on, off] = [doorbell(), doorbell()];
  await loadCapabilities([on.definition], read({ DOORBELL: 'true' }, [on.definition]));
  assert.deepEqual(await loadCapabilities([off.definition], read({}, [off.definition])), []);
  assert.deepEqual([on.loads(), off.loads()], [1, 0]);
});

test('serve --help has a heading for each capability, behind the settings of the core', async () => {
  let help = '';
  const edge = { environment: {}, stdin: process.stdin, write: (text: string) => (help += text), complain() {} };
  const program = createProgram(edge, () => {}, [doorbell().definition]);
  await assert.rejects(program.parseAsync(['serve', '--help'], { from: 'user' }), { code: 'commander.helpDisplayed' });
  assert.match(
    help,
    /--log-format[^]*\n\nDoor bell:\n {2}--doorbell \[bool\] +ring at \/ring[^]*--ring-for <duration>/,
  );
});

test("a capability's commands stand beside the core's, and run while it is off", async () => {
  let written = '';
  const edge = { environment: {}, stdin: process.stdin, write: (text: string) => (written += text), complain() {} };
  const codes: number[] = [];
  const { definition, loads } = doorbell();
  const addCommands: Capability['addCommands'] = (program, { write }, exit) =>
    void program.command('ring').action(() => {
      write('ring');
      exit(3);
    });
  const program = createProgram(edge, (code) => codes.push(code), [{ ...definition, addCommands }]);
  await program.parseAsync(['ring'], { from: 'user' });
  assert.deepEqual([written, codes, loads()], ['ring', [3], 0]);
  assert.match(program.helpInformation(), /openapi[^]*\n {2}ring/);
});

interface Started {
  readonly service: Service;
  readonly get: (path: string) => Promise<{ readonly status: number; readonly body: string }>;
}

async function start(t: TestContext, capabilities: readonly Loaded[], options: Partial<ServiceOptions> = {}) {
  const simulator = await startSimulator({ pods: 10 });
  t.after(() => simulator.close());
  const definitions = [doorbell().definition];
  const environment = { K8S_API_SERVER: simulator.url, HOST: '127.0.0.1', PORT: '0', RING_FOR: '3s' };
  const log = createLog({ level: 'silent', format: 'json' });
  const service = await startService(read(environment, definitions), { log, capabilities, ...options });
  t.after(() => service.close());
  await until('synced', () => service.source.synced, { everyMs: 5 });
  const get: Started['get'] = async (path) => {
    const answer = await fetch(service.url + path, { headers: { connection: 'close' } });
    return { status: answer.status, body: await answer.text() };
  };
  return { service, simulator, get };
}

const loaded = (name: string, plug: (context: Context<Own>) => Plugged | Promise<Plugged>): Loaded => ({
  name,
  plug: plug as Loaded['plug'],
});

test('what a capability adds is asked in front of the router, routed and described; what it throws is a 500', async (t) => {
  const { get } = await start(t, [loaded('door-bell', ringing)]);
  assert.deepEqual(await get('/ring'), { status: 200, body: 'ring for 3000 ms, Lookup' });
  assert.deepEqual(await get('/bell'), { status: 200, body: 'a bell' });
  assert.ok((await get('/openapi.json')).body.includes('"/bell"'));
  const { status, body } = await get('/throw');
  assert.deepEqual([status, body.includes('internal_error'), body.includes('planted')], [500, true, false]);
  assert.equal((await get('/pods')).status, 200);
  assert.equal((await get('/rin')).status, 404);
});

test('capabilities are closed once, after the server and in reverse order', async (t) => {
  const order: string[] = [];
  let url = '';
  const one = (name: string): Loaded =>
    loaded(name, () => ({
      async close() {
        order.push(name);
        await assert.rejects(fetch(`${url}/health`), 'the server has stopped');
      },
    }));
  const { service } = await start(t, [one('first'), one('second')]);
  url = service.url;
  await Promise.all([service.close(), service.close()]);
  assert.deepEqual(order, ['second', 'first']);
});

test('a capability that cannot start ends the start, and closes what has started', async (t) => {
  const order: string[] = [];
  const first = loaded('first', () => ({ close: () => void order.push('first') }));
  const second = loaded('second', () => Promise.reject(new Error('no key')));
  await assert.rejects(start(t, [first, second]), /no key/);
  assert.deepEqual(order, ['first']);
});

test('namespaces are watched once for all, only when asked for, and /ready counts them only while that is wanted', async (t) => {
  const asking: Context['namespaces'][] = [];
  const curious = (name: string): Loaded =>
    loaded(name, ({ namespaces }) => {
      asking.push(namespaces);
      return {};
    });
  const { service, simulator, get } = await start(t, [curious('a'), curious('b')]);
  const asked = (): number => simulator.requests.filter(({ resource }) => resource === 'namespaces').length;
  simulator.access.namespaces = false;
  const [a, b] = asking;
  assert.ok(a && b);
  assert.equal(asked(), 0);
  assert.doesNotMatch((await get('/ready?verbose')).body, /namespaces/);
  const source = a();
  assert.equal((await get('/ready')).status, 200);
  assert.match((await get('/ready?verbose')).body, /"name":"namespaces","ok":false,.*not needed to be ready/);
  assert.equal(b({ countForReady: true }), source);
  assert.match((await get('/ready')).body, /"reason":"not_synced"/);
  await until('it is refused', () => source.details()[0]?.problem !== undefined, { everyMs: 5 });
  const verbose = (await get('/ready?verbose')).body;
  assert.match(verbose, /not read yet[^"]*; not allowed to list namespaces: the verb \\"list\\" must be granted"/);
  assert.equal((await get('/pods')).status, 200, 'lookups do not depend on namespaces');
  a({ countForReady: false });
  assert.equal((await get('/ready')).status, 503, 'b still counts them');
  b({ countForReady: false });
  assert.equal((await get('/ready')).status, 200);
  b({ countForReady: true });
  simulator.access.namespaces = true;
  await until('it is ready', async () => (await get('/ready')).status === 200, { everyMs: 20 });
  assert.deepEqual([source.refusal, source.labelsOf('default') !== undefined], [undefined, true]);
  assert.match((await get('/ready?verbose')).body, /"name":"namespaces","ok":true,"message":"read /);
  const streams = simulator.requests.filter(({ resource, verb }) => resource === 'namespaces' && verb === 'watch');
  assert.ok(streams.length <= 1, 'one watch for both');
  await service.close();
  const before = asked();
  simulator.cluster.labelNamespace('default', { team: 'a' });
  await until('nothing is open', () => simulator.connections === 0, { everyMs: 5 });
  assert.equal(asked(), before, 'nobody watches any more');
});
