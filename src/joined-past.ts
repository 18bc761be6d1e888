import type { Then } from './index/history/answer-then.ts';
import type { Tenure } from './index/history/interval.ts';
import type { IpRecorder } from './ip-recorder.ts';

/** A canonical address, and a time in milliseconds since 1970. */
export interface Moment {
  readonly ip: string;
  readonly time: number;
}

/** Who had an address when: what is in memory. */
export class JoinedPast {
  readonly #memory: IpRecorder;

  constructor(memory: IpRecorder) {
    this.#memory = memory;
  }

  get isReady(): boolean {
    return this.#memory.isReady;
  }

  get reach(): number {
    return this.#memory.reach;
  }

  now(): number {
    return this.#memory.now();
  }

  at(questions: readonly Moment[]): readonly Then[] {
    return questions.map(({ ip, time }) => this.#memory.at(ip, time));
  }

  search(search: Search): Found {
    const { whose, since, until } = search;
    return {
      tenures: this.#memory.tenures('ip' in whose ? whose.ip : undefined),
      holes: this.#memory.holes(since, until),
    };
  }
}

export interface Search {
  readonly whose:
    { readonly ip: string } | { readonly uid: string } | { readonly namespace: string; readonly name: string };
  readonly since: number;
  readonly until: number;
}

export interface Found {
  readonly tenures: Iterable<Tenure | undefined>;
  readonly holes: readonly { readonly from: number; readonly until: number | undefined }[];
}
