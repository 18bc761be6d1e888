/** What `-o` takes; a file of its own, so that `--help` need not load what writes them. */
export const FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];
