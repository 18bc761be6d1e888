/** The addresses of one pod or node: IPv4 and, in a dual-stack cluster, IPv6. */
export type Addresses = readonly string[];

/**
 * A made-up node. Its pod addresses come from its own /24 (10.42.N.0/24, then 10.43.…) and, dual stack, from fd00:42:N+1::/64.
 * The address given back last is handed out first: the quickest reuse there can be, which podwhois must survive.
 */
export class SimulatedNode {
  readonly name: string;
  readonly addresses: Addresses;
  readonly #v4: string;
  readonly #v6: string | undefined;
  readonly #held = new Set<number>();
  readonly #free: number[] = [];
  #untouched = 2;

  constructor(index: number, dualStack: boolean) {
    this.name = `node-${index}`;
    this.#v4 = `10.${42 + (index >> 8)}.${index & 255}.`;
    this.#v6 = dualStack ? `fd00:42:${(index + 1).toString(16)}::` : undefined;
    const v4 = `192.168.${Math.floor(index / 250) & 255}.${(index % 250) + 1}`;
    this.addresses = dualStack ? [v4, `fd00:1::${(index + 1).toString(16)}`] : [v4];
  }

  /** How many addresses are left: of its /24, all but the first two and the last are for pods. */
  get free(): number {
    return this.#free.length + 255 - this.#untouched;
  }

  allocate(): Addresses {
    const host = this.#free.pop() ?? this.#untouched++;
    if (host > 254) throw new Error(`${this.name} has no address left`);
    this.#held.add(host);
    const v4 = `${this.#v4}${host}`;
    return this.#v6 === undefined ? [v4] : [v4, `${this.#v6}${host.toString(16)}`];
  }

  /** Takes back what `allocate` gave; what a test made up itself, or gave back before, changes nothing. */
  release([v4 = '']: Addresses): void {
    const host = v4.startsWith(this.#v4) ? Number(v4.slice(this.#v4.length)) : Number.NaN;
    if (this.#held.delete(host)) this.#free.push(host);
  }
}
