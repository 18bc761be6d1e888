#!/usr/bin/env node
// The bin. Plain JavaScript that any Node can read: an old one could not even load main.ts, and would not say why.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `podwhois: needs Node 24.12 or newer, and this is ${process.versions.node} ("npm start" takes the one that "npm ci" has put into node_modules)\n`,
  );
  process.exitCode = 2;
} else {
  void import('./main.ts');
}
