/** What kubectl asks before it asks for anything: which versions and resources there are. */

const resource = (
  name: string,
  singularName: string,
  kind: string,
  namespaced: boolean,
  shortName: string,
  verbs: string[],
): object => ({
  name,
  singularName,
  namespaced,
  kind,
  verbs,
  shortNames: [shortName],
  ...(name === 'pods' ? { categories: ['all'] } : {}),
});

const DISCOVERY_V1 = { groupVersion: 'discovery.k8s.io/v1', version: 'v1' };

export const DISCOVERY: Readonly<Record<string, object>> = {
  '/version': {
    major: '1',
    minor: '36',
    gitVersion: 'v1.36.3+simulator',
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: 'podwhois/simulator',
  },
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [{ name: 'discovery.k8s.io', versions: [DISCOVERY_V1], preferredVersion: DISCOVERY_V1 }],
  },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      resource('namespaces', 'namespace', 'Namespace', false, 'ns', ['get', 'list', 'watch']),
      resource('nodes', 'node', 'Node', false, 'no', ['get', 'list']),
      resource('pods', 'pod', 'Pod', true, 'po', ['get', 'list', 'watch']),
    ],
  },
  '/apis/discovery.k8s.io/v1': {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: 'discovery.k8s.io/v1',
    resources: [resource('endpointslices', 'endpointslice', 'EndpointSlice', true, 'eps', ['get', 'list', 'watch'])],
  },
};
