import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, constantFrom, property, string, uint8Array } from 'fast-check';
import { compileRules } from '../../../src/http/forward-auth/rules-file.ts';

/** Every problem as `line:column message`. */
const problemsOf = (source: string | Uint8Array): string[] =>
  (compileRules(source).problems ?? []).map(({ line, column, message }) => `${line}:${column} ${message}`);

/** One rule whose peer is the text, which begins in line 5, column 9. */
const peer = (text: string): string =>
  `rules:\n  - name: a\n    match: { path: "/x/{ns}/*" }\n    allow:\n      - ${text}\n`;

/** The same with a peer that uses the path's capture, so that nothing else is wrong. */
const besides = (text: string): string => peer(`${text}\n      - pod: { sameNamespaceAs: "{ns}" }`);

const rule = (fields: string): string => `rules:\n  - name: a\n    allow: [{ serviceAccount: a/b }]\n    ${fields}\n`;

test('a rules file with everything compiles', () => {
  const { policy, problems } = compileRules(`
# a comment
rules:
  - name: functions of one's own namespace
    match: { path: "/fn/{namespace}/**", methods: [GET, POST] }
    allow:
      - pod: { sameNamespaceAs: "{namespace}" }
  - name: monitoring
    match:
      host: "*.internal"
      path: /metrics
    allow:
      - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: monitoring } }
        podSelector: { matchLabels: { app: prometheus } }
  - name: the office
    match: { path: /public/** }
    allow:
      - ipBlock: { cidr: 203.0.113.0/24, except: [203.0.113.66/32] }
  - name: "no"
    match: {}
    namespace: on
    allow:
      - podSelector:
          matchLabels: { "1.5": no, empty: "" }
          matchExpressions:
            - { key: yes, operator: NotIn, values: [off, ""] }
            - { key: y, operator: Exists }
      - workload: shop/CronJob/cleanup
        serviceAccount: shop/cleaner
default: identify
`);
  assert.deepEqual(problems, undefined);
  assert.deepEqual(
    policy?.rules?.map(({ name, line, allow }) => [name, line, allow.length]),
    [
      ["functions of one's own namespace", 4, 1],
      ['monitoring', 8, 1],
      ['the office', 15, 1],
      ['no', 19, 2],
    ],
  );
  assert.deepEqual([policy?.fallback, policy?.needsNamespaces], ['identify', true]);
});

test('the default is to deny, JSON is YAML too, a byte order mark and CRLF are no matter', () => {
  const text = JSON.stringify({ rules: [] });
  assert.equal(compileRules(text).policy?.fallback, 'deny');
  assert.equal(compileRules(Buffer.from(`\ufeff${text}`)).policy?.fallback, 'deny');
  assert.equal(compileRules(`\ufeffrules: []\r\ndefault: deny\r\n`).policy?.fallback, 'deny');
});

const WRONG: Readonly<Record<string, readonly (readonly [string, readonly string[]])[]>> = {
  'what is no rules file': [
    ['', ['1:1 there is nothing: a rules file must be a map of rules, default']],
    ['# only a comment', ['1:1 there is nothing: a rules file must be a map of rules, default']],
    ['---\n', ['1:4 found nothing: a rules file must be a map of rules, default']],
    ['rules', ['1:1 found "rules": a rules file must be a map of rules, default']],
    ['- name: a', ['1:1 found a list: a rules file must be a map of rules, default']],
    ['default: deny', ['1:1 rules is missing: must be a list of rules, [] for none']],
    ['rules:', ['1:7 found nothing: rules must be a list of rules']],
    ['rules: {}', ['1:8 found a map: rules must be a list of rules']],
    ['rules: []\ndefault: allow', ['2:10 default must be deny, or identify: every pod that is known for certain passes']],
    ['rules: []\ndefault:', ['2:9 default is empty: must be text']],
    ['rules: []\ndefault: [deny]', ['2:10 found a list: default must be text']],
  ],
  'YAML that is more than it says, or none': [
    ['rules: [', ['1:9 Flow sequence in block collection must be sufficiently indented and end with a ]']],
    ['rules:\n\t- a', ['2:1 Tabs are not allowed as indentation']],
    ['rules: []\n---\nrules: []', ['2:1 a second document: a file holds one']],
    ['rules: []\n...\nx', ['3:1 a second document: a file holds one']],
    ['%YAML 1.1\n---\nrules: []', ['1:1 directives are not taken here: leave the line out']],
    ['%TAG ! x\n---\nrules: []', ['1:1 directives are not taken here: leave the line out']],
    ['rules: []\nrules: []', ['2:1 "rules" stands twice']],
    ['rules: []\n"rules": []', ['2:1 "rules" stands twice']],
    ['rules: &r []', ['1:11 anchors are not taken here: leave "&r" out']],
    ['&a rules: []', ['1:4 anchors are not taken here: leave "&a" out', '1:4 rules is missing: must be a list of rules, [] for none']],
    ['rules: !!seq []', ['1:14 tags are not taken here: leave "tag:yaml.org,2002:seq" out']],
    ['rules: !mine []', ['1:8 Unresolved tag: !mine']],
    ['rules: []\ndefault: !!str deny', ['2:16 tags are not taken here: leave "tag:yaml.org,2002:str" out']],
    ['rules: []\ndefault: ! deny', ['2:12 tags are not taken here: leave "!" out']],
    ['rules: []\n<<: { default: identify }', ['2:1 unknown field "<<": there are rules, default']],
    ['? [a]\n: b\nrules: []', ['1:3 found a list: a key must be text']],
    ['? \nrules: []', ['1:3 a key is empty: must be text']],
    ['1: x\nrules: []', ['1:1 a key must be text: quote it, "1"']],
    [rule('match: { host: *.internal }'), ['4:20 aliases are not taken here: write it out, or quote a text that begins with "*"']],
    [rule('match: { path: /fn/{ns}/** }'), ['4:24 Unexpected flow-map-start at node end: a text with "{" or "}" is quoted, like "/fn/{namespace}"']],
    ['['.repeat(20_000), [/^1:\d+ nested too deeply$/.source]],
  ],
  'unknown fields': [
    ['rules: []\ndefualt: deny', ['2:1 unknown field "defualt": did you mean default? there are rules, default']],
    ['rules: []\nspec: {}', ['2:1 unknown field "spec": there are rules, default']],
    [rule('match: {}\n    alow: []'), ['5:5 unknown field "alow": did you mean allow? there are name, match, namespace, allow']],
    [rule('match: { paths: /x }'), ['4:14 unknown field "paths": did you mean path? there are path, host, methods']],
    [rule('match: { METHOD: [GET] }'), ['4:14 unknown field "METHOD": did you mean methods? there are path, host, methods']],
    [besides('service_account: a/b'), ['5:9 unknown field "service_account": did you mean serviceAccount? there are namespaceSelector, podSelector, ipBlock, serviceAccount, workload, pod', '5:9 a peer that asks nothing matches nothing: use namespaceSelector, podSelector, ipBlock, serviceAccount, workload, pod']],
    [besides('namespaceSelector: { app: web }'), ['5:30 unknown field "app": there are matchLabels, matchExpressions']],
    [besides('ipBlock: { cidr: 10.0.0.0/8, excepts: [] }'), ['5:38 unknown field "excepts": did you mean except? there are cidr, except']],
  ],
  'rules that are not whole': [
    ['rules: [{}]', ['1:9 allow is missing: must be a list of peers', '1:9 match is missing: must be a map, {} for every request', '1:9 name is missing: must be text, which logs and metrics show']],
    ['rules: [a]', ['1:9 found "a": a rule must be a map of name, match, namespace, allow']],
    ['rules: [null]', ['1:9 found nothing: a rule must be a map of name, match, namespace, allow']],
    [rule('match:'), ['4:11 found nothing: match ({} for every request) must be a map of path, host, methods']],
    [rule('match: {}\n  - { name: a, match: {}, allow: [{ serviceAccount: a/b }] }'), ['5:13 the rule in line 2 has the same name: each needs its own']],
    [rule('match: {}').replace('name: a', 'name: 7'), ['2:11 name must be text: quote it, "7"']],
    [rule('match: {}').replace('name: a', 'name: "a\\tb"'), ['2:11 name must be 1 to 100 visible characters']],
    [rule('match: {}').replace('name: a', 'name: ""'), ['2:11 name must be 1 to 100 visible characters']],
    [rule('match: {}').replace('name: a', `name: ${'a'.repeat(101)}`), ['2:11 name must be 1 to 100 visible characters']],
    [rule('match: {}').replace('[{ serviceAccount: a/b }]', '[]'), ['3:12 allow is empty: a rule that nobody passes is left out, and default: deny denies']],
    [rule('match: {}').replace('[{ serviceAccount: a/b }]', ''), ['3:12 found nothing: allow must be a list of peers']],
    [rule('match: {}').replace('[{ serviceAccount: a/b }]', '{}'), ['3:12 found a map: allow must be a list of peers']],
    [rule('match: {}\n    namespace: 123'), ['5:16 namespace is for a podSelector without namespaceSelector, and there is none: leave it out', '5:16 namespace must be text: quote it, "123"']],
    [rule('match: {}\n    namespace: Shop'), ['5:16 namespace is for a podSelector without namespaceSelector, and there is none: leave it out', '5:16 namespace must be the name of a namespace (lower-case letters, digits and "-")']],
    [rule('match: {}\n    namespace: shop'), ['5:16 namespace is for a podSelector without namespaceSelector, and there is none: leave it out']],
  ],
  'matches': [
    [rule('match: { path: admin }'), ['4:20 path "admin": a path begins with "/"']],
    [rule('match: { path: /admin/ }'), ['4:20 path "/admin/": a slash at the end does not count: leave it out, or end in "/**" for all that is below']],
    [rule('match: { path: [/a] }'), ['4:20 found a list: path must be text']],
    [rule('match: { path: "/{ns}" }'), ['4:12 no peer compares {ns}: write pod: { sameNamespaceAs: "{ns}" }, or * in the path']],
    [rule('match: { host: "*" }'), ['4:20 host "*": leave host out for all hosts']],
    [rule('match: { host: "a.*.b" }'), ['4:20 host "a.*.b": "*." stands at the beginning, for one label or more']],
    [rule('match: { host: "a:80" }'), ['4:20 host "a:80": a host is written without a port, which is not looked at; IPv6 addresses cannot be written']],
    [rule('match: { host: a. }'), ['4:20 host "a.": a host is written without a dot at the end']],
    [rule('match: { host: a/b }'), ['4:20 host "a/b": a host is a name like shop.example, or *.example']],
    [rule('match: { host: "*." }'), ['4:20 host "*.": a host is a name like shop.example, or *.example']],
    [rule('match: { methods: GET }'), ['4:23 found "GET": methods must be a list like [GET, POST]; leave it out for all methods']],
    [rule('match: { methods: [] }'), ['4:23 methods is empty: leave it out for all methods']],
    [rule('match: { methods: [get, PSOT, "*", 1] }'), ['4:24 "get" is no method: did you mean GET?', '4:29 "PSOT" is no method: did you mean POST?', '4:35 "*" is no method, like GET or POST', '4:40 a method must be text: quote it, "1"']],
  ],
  'peers': [
    [besides('{}'), ['5:9 a peer that asks nothing matches nothing: use namespaceSelector, podSelector, ipBlock, serviceAccount, workload, pod']],
    [besides('podSelector:'), ["5:21 podSelector alone means the rule's own namespace: give the rule one (namespace: shop), or the peer a namespaceSelector ({} for all namespaces)", '5:21 found nothing: podSelector ({} selects all) must be a map of matchLabels, matchExpressions']],
    [besides('podSelector: {}'), ["5:22 podSelector alone means the rule's own namespace: give the rule one (namespace: shop), or the peer a namespaceSelector ({} for all namespaces)"]],
    [besides('namespaceSelector: all'), ['5:28 found "all": namespaceSelector ({} selects all) must be a map of matchLabels, matchExpressions']],
    [besides('serviceAccount: web'), ['5:25 serviceAccount "web": must be namespace/name of a service account, like shop/web']],
    [besides('serviceAccount: a/b/c'), ['5:25 serviceAccount "a/b/c": must be namespace/name of a service account, like shop/web']],
    [besides('serviceAccount: "*/web"'), ['5:25 serviceAccount "*/web": must be namespace/name of a service account, like shop/web']],
    [besides('workload: shop/web'), ['5:19 workload "shop/web": must be namespace/Kind/name of a workload, like shop/Deployment/web']],
    [besides('workload: shop/deployment/web'), ['5:19 workload "shop/deployment/web": must be namespace/Kind/name of a workload, like shop/Deployment/web']],
    [besides('pod: {}'), ['5:14 sameNamespaceAs is missing: must be a capture, like "{namespace}"']],
    [besides('pod: { sameNamespaceAs: ns }'), ['5:33 sameNamespaceAs "ns": must be a capture of the rule\'s path, "{ns}"']],
    [besides('pod: { sameNamespaceAs: "{other}" }'), ['5:33 sameNamespaceAs "{other}": must be a capture of the rule\'s path, "{ns}"']],
    [rule('match: {}').replace('serviceAccount: a/b', 'pod: { sameNamespaceAs: "{ns}" }'), ['3:39 sameNamespaceAs "{ns}": must be a capture of the rule\'s path, and it has none; a path with one is "/fn/{namespace}/**"']],
  ],
  'ipBlocks': [
    [besides('ipBlock: { cidr: 10.0.0.0/8 }\n        podSelector: {}'), ['5:9 ipBlock stands alone: it is for callers that are no pods']],
    [besides('ipBlock: {}'), ['5:18 cidr is missing: must be a network, like 203.0.113.0/24']],
    [besides('ipBlock: 10.0.0.0/8'), ['5:18 found "10.0.0.0/8": ipBlock must be a map of cidr, except']],
    [besides('ipBlock: { cidr: 10.0.0.1 }'), ['5:26 cidr "10.0.0.1": must be a network: 10.0.0.1/32 for one address']],
    [besides('ipBlock: { cidr: "FD00::1" }'), ['5:26 cidr "FD00::1": must be a network: fd00::1/128 for one address']],
    [besides('ipBlock: { cidr: 10.0.0.0/33 }'), ['5:26 cidr "10.0.0.0/33": must be a network, like 203.0.113.0/24']],
    [besides('ipBlock: { cidr: 010.0.0.0/8 }'), ['5:26 cidr "010.0.0.0/8": must be a network, like 203.0.113.0/24']],
    [besides('ipBlock: { cidr: "::ffff:10.0.0.0/8" }'), ['5:26 cidr "::ffff:10.0.0.0/8": must be a network, like 203.0.113.0/24']],
    [besides('ipBlock: { cidr: 10.0.0.7/24 }'), ['5:26 cidr "10.0.0.7/24": has bits behind its prefix; the network is 10.0.0.0/24']],
    [besides('ipBlock: { cidr: 10.0.0.0/8, except: 10.1.0.0/16 }'), ['5:46 found "10.1.0.0/16": except must be a list of networks within cidr']],
    [besides('ipBlock: { cidr: 10.0.0.0/8, except: [11.0.0.0/16, 10.0.0.0/8, 0.0.0.0/0, "::/0"] }'), ['5:47 except 11.0.0.0/16 must lie within 10.0.0.0/8, and be smaller', '5:60 except 10.0.0.0/8 must lie within 10.0.0.0/8, and be smaller', '5:72 except 0.0.0.0/0 must lie within 10.0.0.0/8, and be smaller', '5:83 except ::/0 must lie within 10.0.0.0/8, and be smaller']],
  ],
  'selectors': [
    [besides('namespaceSelector: { matchLabels: { team: 1 } }'), ['5:51 a label value must be text: quote it, "1"']],
    [besides('namespaceSelector: { matchLabels: { team: true, -x: "a b", ok: } }'), ['5:51 a label value must be text: quote it, "true"', '5:57 "-x" is not a label key', '5:61 "a b" is not a label value', '5:72 a label value is empty: must be text']],
    [besides('namespaceSelector: { matchLabels: { a: b, a: c } }'), ['5:51 "a" stands twice']],
    [besides('namespaceSelector: { matchLabels: [a] }'), ['5:43 found a list: matchLabels must be a map of labels']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a, operator: in, values: [b] }] }'), ['5:69 operator "in": must be In, NotIn, Exists, DoesNotExist']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a, operator: Gt, values: ["1"] }] }'), ['5:69 operator "Gt": must be In, NotIn, Exists, DoesNotExist']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a, operator: In }] }'), ['5:49 In needs values']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a, operator: NotIn, values: [] }] }'), ['5:84 NotIn needs values']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a, operator: Exists, values: [b] }] }'), ['5:85 Exists takes no values']],
    [besides('namespaceSelector: { matchExpressions: [{ operator: Exists }] }'), ['5:49 key is missing: must be a label key']],
    [besides('namespaceSelector: { matchExpressions: [{ key: a }] }'), ['5:49 operator is missing: must be In, NotIn, Exists, DoesNotExist']],
    [besides('namespaceSelector: { matchExpressions: [{ key: "a b", operator: In, values: ["c,d"] }] }'), ['5:56 "a b" is not a label key', '5:86 "c,d" is not a label value']],
    [besides('namespaceSelector: { matchExpressions: { key: a, operator: Exists } }'), ['5:48 found a map: matchExpressions must be a list']],
  ],
}; // prettier-ignore

for (const [kind, cases] of Object.entries(WRONG)) {
  test(`wrong rules are reported with line and column: ${kind}`, () => {
    for (const [source, expected] of cases) {
      const found = problemsOf(source);
      if (expected[0]?.startsWith('^')) assert.match(found.join('\n'), new RegExp(expected[0]), source.slice(0, 200));
      else assert.deepEqual(found.sort(), [...expected].sort(), source.slice(0, 300));
    }
  });
}

test('all problems of a file are reported together, in its order', () => {
  const found = problemsOf(`
rules:
  - name: a
    match: { path: x }
    allow: [{ serviceAccount: x }, { ipBlock: { cidr: x } }]
  - nam: b
default: x
`);
  assert.deepEqual(
    found.map((problem) => problem.split(' ')[0]),
    ['4:20', '5:31', '5:55', '6:5', '6:5', '6:5', '6:5', '7:10'],
  );
});

test('at most 1,000 rules, 1 MiB and 100 problems', () => {
  const rules = (count: number, extra = ''): string =>
    `rules:\n${Array.from({ length: count }, (_, i) => `- {name: r${i}, match: {}, allow: [{serviceAccount: a/b}]${extra}}\n`).join('')}`;
  assert.equal(compileRules(rules(1000)).policy?.rules?.length, 1000);
  assert.deepEqual(problemsOf(rules(1001)), ['1002:3 at most 1,000 rules']);
  assert.equal(problemsOf(rules(200, ', x: y')).length, 100);
  const mebibyte = `rules: []\n#${'x'.repeat(2 ** 20 - 11)}`;
  assert.equal(compileRules(mebibyte).policy?.rules?.length, 0);
  assert.deepEqual(problemsOf(`${mebibyte}x`), ['1:1 the file is longer than 1 MiB']);
  assert.deepEqual(problemsOf(Buffer.from(`${mebibyte}x`)), ['1:1 the file is longer than 1 MiB']);
});

test('what is nested or piled up beyond all rules is refused where it begins to be, before it is parsed', () => {
  assert.deepEqual(problemsOf('['.repeat(2 ** 20)), ['1:33 nested too deeply']);
  assert.deepEqual(problemsOf(`rules: ${'{a: '.repeat(40)}`), ['1:136 nested too deeply']);
  assert.deepEqual(problemsOf(']'.repeat(2 ** 20)), ['1:1 "]" closes nothing']);
  assert.deepEqual(problemsOf('rules: []\n}'), ['2:1 "}" closes nothing']);
  assert.deepEqual(problemsOf(`rules: []\n${'#\n'.repeat(300_000)}`), [
    '199998:1 a file has at most 400,000 words and marks',
  ]);
  const brackets = `# ]]] ${'['.repeat(100)}\n${rule(`match: { path: "/[[[/]]]/${'['.repeat(100)}" }`)}`;
  assert.equal(compileRules(brackets).policy?.rules?.length, 1, 'in texts and comments they are text');
});

test('bytes that are not UTF-8 are refused', () => {
  assert.deepEqual(problemsOf(Buffer.from('rules: [] # caf\xe9', 'latin1')), ['1:1 the file is not UTF-8']);
});

test('messages are one short line without anything that a terminal obeys', () => {
  for (const text of [
    `"\\x1b]0;x\\x07": 1\nrules: []`,
    `rules: []\n"${'k'.repeat(5000)}": 1`,
    rule(`match: { path: "${'x'.repeat(5000)}" }`),
  ]) {
    for (const { message } of compileRules(text).problems ?? assert.fail('compiled')) {
      assert.ok(message.length < 600);
      assert.doesNotMatch(message, /[\p{Cc}]/u);
    }
  }
});

test('the loader throws for nothing: any text and bytes', () => {
  const word = constantFrom(
    'rules', 'name', 'match', 'allow', ':', ': ', '- ', '\n', '\n  ', '\n    ', '{', '}', '[', ']', ',', '&a', '*a', '!!str ', '"', "'", '|', '>', '#', '?', '%', '---',
    'podSelector', 'ipBlock', 'cidr', '10.0.0.0/8', '/x', '{ns}', '\t', '\0', '\ud800', '~', 'null', '1', '<<', '@',
  ); // prettier-ignore
  const survives = (source: string | Uint8Array): void => {
    const { policy, problems } = compileRules(source);
    assert.ok(policy ? problems === undefined : problems && problems.length > 0);
    for (const { line, column, message } of problems ?? []) assert.ok(line >= 1 && column >= 1 && message.length > 0);
  };
  check(
    property(array(word, { maxLength: 60 }), (words) => survives(words.join(''))),
    { numRuns: 2000 },
  );
  check(property(string({ unit: 'binary', maxLength: 200 }), survives), { numRuns: 500 });
  check(property(uint8Array({ maxLength: 200 }), survives), { numRuns: 500 });
});

test('the loader takes bounded time: bombs, deep nests and a mebibyte of garbage', () => {
  const fill = (piece: string, size: number): string => piece.repeat(Math.floor(size / piece.length));
  const bomb = `a0: &a0 [x]\n${Array.from({ length: 100 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(50)}]\n`).join('')}rules: *a100`;
  const pieces = ['[', ']', '{a: ', '- ', '? ', '"', '&a ', '%\n', 'a: 1\n', '---\n'];
  const quarters = pieces.map((piece) => fill(piece, 2 ** 18));
  const garbage = Array.from({ length: 2 ** 20 }, (_, i) =>
    String.fromCharCode(32 + ((i * 7919 + (i >> 5)) % 95)),
  ).join('');
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join('');
  for (const source of [bomb, garbage, ...quarters, keys]) {
    const start = performance.now();
    assert.ok((compileRules(source).problems?.length ?? 0) > 0);
    // The worst takes a quiet machine about a second.
    assert.ok(performance.now() - start < 30_000, source.slice(0, 20));
  }
});
