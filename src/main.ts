import { CommanderError } from '@commander-js/extra-typings';
import { createProgram, withDefaultCommand } from './commands/program.ts';
import { oneLine } from './terminal.ts';

/** The process edge: arguments and streams in, exit code out. Signals are the running command's. */

// A reader that has gone (`podwhois lookup … | head -1`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const program = createProgram(
  {
    environment: process.env,
    stdin: process.stdin,
    write: (text) => process.stdout.write(text),
    complain: (text) => process.stderr.write(text),
  },
  (code) => (process.exitCode = code),
);

try {
  await program.parseAsync(withDefaultCommand(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) {
    // It has said so itself; anything but help and version is wrong usage.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof Error && ['SettingsError', 'AccessError', 'LookupError'].includes(error.name)) {
    process.stderr.write(`podwhois: ${error.message}\n`);
    process.exitCode = 2;
  } else {
    process.stderr.write(`podwhois: ${oneLine(error instanceof Error ? error.message : String(error), 1000)}\n`);
    process.exitCode = 1;
  }
}
