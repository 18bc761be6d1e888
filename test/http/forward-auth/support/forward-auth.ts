import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { plug } from '../../../../src/http/forward-auth/forward-auth.ts';
import type { ForwardAuthSettings } from '../../../../src/http/forward-auth/settings.ts';
import type { NamespaceLabels } from '../../../../src/http/forward-auth/verdict.ts';
import type { View } from '../../../../src/index/answer.ts';
import { readServeSettings } from '../../../../src/serve-settings.ts';
import type { Settings } from '../../../../src/settings.ts';
import { until } from '../../../support/until.ts';
import { startService } from '../../support/service.ts';
import type { Service, ServiceOptions } from '../../support/service.ts';

export interface Options extends Omit<ServiceOptions, 'plug' | 'view'> {
  /** Besides FORWARD_AUTH=true. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the rules file. */
  readonly rules?: string;
  /** Of the file of keys. */
  readonly keys?: string;
  /** Labels by namespace; undefined: nothing watches them. */
  readonly namespaces?: NamespaceLabels;
}

export interface ForwardAuth extends Service {
  /** The wall clock: it stands still until it is set. */
  readonly time: { wall: number };
  readonly rulesFile: string;
  readonly keysFile: string;
  /** Lets the files be looked at, and waits until they have been. */
  readonly look: () => Promise<void>;
  /** Whether namespaces were asked for, and `/ready` was to count them. */
  readonly asked: (boolean | undefined)[];
}

export const NOON = Date.UTC(2026, 10, 25, 12);

/** The address that the tests connect from, as a trusted proxy. */
export const PROXY = { TRUSTED_PROXIES: '127.0.0.1' };

/** Forward auth as the service plugs it in, on a real socket and a real index. */
export async function startForwardAuth(t: TestContext, options: Options = {}): Promise<ForwardAuth> {
  const folder = mkdtempSync(join(tmpdir(), 'podwhois-forward-auth-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const rulesFile = join(folder, 'rules.yaml');
  const keysFile = join(folder, 'keys.pem');
  const files: Record<string, string> = {};
  if (options.rules !== undefined) {
    writeFileSync(rulesFile, options.rules);
    files['FORWARD_AUTH_RULES'] = rulesFile;
  }
  if (options.keys !== undefined) {
    writeFileSync(keysFile, options.keys);
    Object.assign(files, { FORWARD_AUTH_TOKEN_KEY_FILE: keysFile, FORWARD_AUTH_TOKEN_AUDIENCE: 'shop' });
  }
  const environment = { FORWARD_AUTH: 'true', ...PROXY, ...files, ...options.environment };
  const settings = readServeSettings({ flags: {}, environment }) as Settings & ForwardAuthSettings;
  const view: View = {
    partial: settings.namespaces.length > 0 || settings.nodeName !== undefined,
    clusterCidrs: settings.clusterCidrs,
  };
  const time = { wall: NOON };
  const asked: (boolean | undefined)[] = [];
  let plugged: Awaited<ReturnType<typeof plug>> | undefined;
  const service = await startService(t, {
    ...options,
    view,
    remarks: () => plugged?.remarks() ?? [],
    plug: async ({ index, clock, log, metrics }) => {
      plugged = await plug({
        settings,
        index,
        view,
        log,
        metrics,
        clock: {
          now: () => clock.now(),
          sleep: async (ms, signal) => await clock.sleep(ms, signal),
          wall: () => time.wall,
        },
        namespaces: ({ countForReady } = {}) => {
          asked.push(countForReady);
          if (!options.namespaces) throw new Error('the test has no namespaces');
          return options.namespaces;
        },
      });
      t.after(() => plugged?.close());
      return plugged.http;
    },
  });
  return {
    ...service,
    time,
    rulesFile,
    keysFile,
    asked,
    look: async () => {
      const { sleepers } = service.clock;
      // What has changed is used when it is seen a second time.
      for (let i = 0; i < 2; i++) {
        service.clock.advance(2000);
        // Who looks is awake until he sleeps again.
        await until('they have been looked at', () => service.clock.sleepers >= sleepers, { everyMs: 1 });
      }
    },
  };
}
