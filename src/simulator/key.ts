/** etcd's order of the objects of a kind is the order of these. */
export const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
