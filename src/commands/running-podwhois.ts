import type { RunningPodwhois } from '../capabilities.ts';
import { readSettings } from '../settings/schema.ts';
import type { Given } from '../settings/schema.ts';
import { addSettings, givenFor } from './options.ts';
import { LOOKUP } from './settings.ts';

/** As `podwhois lookup` asks it: by the same flags and variables. */
export const runningPodwhois = (environment: Given['environment']): RunningPodwhois => ({
  addSettings: (command) => addSettings(command, LOOKUP),
  async get(command, path, isAnswer) {
    const { server, tokenFile } = readSettings(LOOKUP, givenFor(command, LOOKUP, environment));
    const { agentFor, exchange, notPodwhois } = await import('./lookup/ask.ts');
    const { firstToken } = await import('./token-file.ts');
    const target = { server, token: tokenFile === undefined ? undefined : await firstToken(tokenFile) };
    const agent = agentFor(target);
    try {
      const { status, body } = await exchange(target, path, { agent });
      if (status !== 200 || !isAnswer(body)) throw notPodwhois(server, status, body);
      return body;
    } finally {
      await agent.destroy();
    }
  },
});
