/** How a floor asks for a first sync: as we do. */
export const SYNC_QUERY =
  'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=600';
