/** The addresses of one pod or node: IPv4 and, in a dual-stack cluster, IPv6. */
export type Addresses = readonly string[];

/** The most pods of one node that hold an address: a /24 without its first two and last addresses. */
export const ADDRESSES_PER_NODE = 253;

/**
 * A made-up node. Its pod addresses come from its own /24 (10.42.N.0/24, then 10.43.…) and, dual stack, from fd00:42:N+1::/64.
 * The address given back last is handed out first: the quickest reuse there can be, which podwhois must survive.
 */
export class SimulatedNode {
  readonly name: string;
  readonly addresses: Addresses;
  readonly #index: number;
  readonly #dualStack: boolean;
  readonly #free: number[] = [];
  #untouched = 2;

  constructor(index: number, dualStack: boolean) {
    this.#index = index;
    this.#dualStack = dualStack;
    this.name = `node-${index}`;
    const v4 = `192.168.${Math.floor(index / 250) & 255}.${(index % 250) + 1}`;
    this.addresses = dualStack ? [v4, `fd00:1::${(index + 1).toString(16)}`] : [v4];
  }

  get free(): number {
    return this.#free.length + 255 - this.#untouched;
  }

  allocate(): Addresses {
    const host = this.#free.pop() ?? this.#untouched++;
    if (host > 254) throw new Error(`${this.name} has no address left`);
    const v4 = `10.${42 + (this.#index >> 8)}.${this.#index & 255}.${host}`;
    return this.#dualStack ? [v4, `fd00:42:${(this.#index + 1).toString(16)}::${host.toString(16)}`] : [v4];
  }

  release(addresses: Addresses): void {
    const host = Number(addresses[0]?.split('.')[3]);
    if (!Number.isInteger(host)) throw new Error(`not an address of ${this.name}: ${addresses[0]}`);
    this.#free.push(host);
  }
}
