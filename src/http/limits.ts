/** Everything that bounds what a client can cost. Milliseconds, bytes, counts. */
export const LIMITS = {
  /**
   * A request's headers, and the whole of it, must arrive within 4.5 s; that is looked at every 500 ms, so a slowloris is gone
   * after 5 s, and within 6 s on a busy machine. Node's own defaults are 60 s, 300 s and 30 s.
   */
  requestTimeout: 4_500,
  connectionsCheckingInterval: 500,
  /** A connection on which nothing moves, in either direction, while a request is being answered. Above `heartbeat`. */
  socketTimeout: 30_000,
  /** Longer than proxies keep idle connections (Caddy 2 min, Go 90 s, nginx 60 s), so that it is never we who close first. */
  keepAliveTimeout: 125_000,
  /** Some 16 KiB of memory each at worst: 64 MiB. */
  maxConnections: 4_096,
  maxHeaderSize: 16 * 1024,
  maxUrlLength: 8 * 1024,
  /** 1,000 addresses of 45 characters with their quotes, commas and some white space. */
  maxBody: 96 * 1024,

  maxBatch: 1_000,
  /** Of a batch's answer, which is made in one turn: what is left then is to be asked for again. Ordinary pods take 1.5 MB. */
  maxBatchBytes: 8 * 1024 * 1024,
  defaultPage: 500,
  maxPage: 1_000,
  /** A page also ends here: an allow-listed annotation can be 256 KiB long. */
  maxPageBytes: 4 * 1024 * 1024,
  /** Of pages and batches that are being made or not yet read, together. 64 full pages of ordinary pods are 45 MB. */
  maxOutgoing: 64 * 1024 * 1024,
  /** Pods looked at, and written, in one turn of the event loop: about a fifth of a millisecond of work. */
  scanPerTurn: 64,
  /** Pages of /pods that are being made or not yet read; one piece of one of them is made per turn, so more only wait longer. */
  maxScans: 64,
  /** Of `/pods?by=ip`, which last as long as their reader takes. */
  maxExports: 8,
  /** A piece of them, or of a stream, ends here: what 256 pods with long labels would be. */
  maxPieceBytes: 256 * 1024,

  maxWait: 2_000,
  maxWaiters: 1_000,

  maxStreams: 100,
  heartbeat: 15_000,
  /** What may wait in memory for one reader of a stream. What follows waits in the index's ring, which is there anyway. */
  streamBuffer: 256 * 1024,

  /** Everything but lookups of single addresses, probes and metrics is refused when the event loop is later than this on average. */
  shedDelay: 100,
  shedInterval: 1_000,
  /** After the shutdown delay: how long requests under way may take to finish. */
  closeGrace: 10_000,
} as const;

export type Limits = { readonly [K in keyof typeof LIMITS]: number };
