/** etcd's order of pods is the order of these. */
export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;
