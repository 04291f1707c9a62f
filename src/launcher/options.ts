import { parseArgs } from 'node:util';

export type Mode = 'dev' | 'production';

export interface Options {
  port: number;
  host: string;
  dataDir: string;
  mode: Mode;
  /** A bundled module to run in place of the Worker; used by tests. */
  worker: string | undefined;
  /** End the server when standard input closes, so that a parent that is killed leaves nothing behind. */
  endWithStdin: boolean;
}

export type Command = { kind: 'serve'; options: Options } | { kind: 'help' } | { kind: 'version' };

/** A mistake in the command line or the environment. The message names the flag and the values it takes. */
export class UsageError extends Error {}

export const DEFAULT_PORT = 8288;

export const USAGE = `Usage: repoint [dev|start] [options]

  repoint dev      run the server in development mode (the default)
  repoint start    run the server in production mode

Options (each also as an environment variable):
  --port <n>       REPOINT_PORT   port to listen on, 0 for a free one   (default ${DEFAULT_PORT})
  --host <addr>    REPOINT_HOST   address to listen on                  (default 127.0.0.1)
  --data <dir>     REPOINT_DATA   directory that keeps all state        (default ./.repoint)
  --mode <mode>    REPOINT_MODE   dev or production                     (default dev; production for "repoint start")
  --help           this text
  --version        the version

Keys are read from the vendors' own variables (INNGEST_SIGNING_KEY, TRIGGER_SECRET_KEY, QSTASH_TOKEN, ...).
In production mode private addresses are refused as destinations; REPOINT_ALLOW_PRIVATE=1 allows them.
`;

/**
 * Reads the command line, then the environment, then the defaults.
 * @throws UsageError for an unknown flag or command, or a value out of range
 */
export function parseOptions(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const { values, positionals } = parse(argv);
  if (values.help) return { kind: 'help' };
  if (values.version) return { kind: 'version' };
  const command = positionals[0];
  if (positionals.length > 1 || (command !== undefined && command !== 'dev' && command !== 'start')) {
    throw new UsageError(`unknown command "${positionals.join(' ')}"; see repoint --help`);
  }
  const fallbackMode = command === 'start' ? 'production' : 'dev';
  return {
    kind: 'serve',
    options: {
      port: parsePort(values.port ?? nonEmpty(env.REPOINT_PORT) ?? String(DEFAULT_PORT)),
      host: values.host ?? nonEmpty(env.REPOINT_HOST) ?? '127.0.0.1',
      dataDir: values.data ?? nonEmpty(env.REPOINT_DATA) ?? './.repoint',
      mode: parseMode(values.mode ?? (command === 'dev' ? 'dev' : (nonEmpty(env.REPOINT_MODE) ?? fallbackMode))),
      worker: values.worker,
      endWithStdin: values['end-with-stdin'] ?? false,
    },
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        port: { type: 'string', short: 'p' },
        host: { type: 'string' },
        data: { type: 'string' },
        mode: { type: 'string' },
        worker: { type: 'string' },
        'end-with-stdin': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; see repoint --help`);
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new UsageError(`--port takes a number from 0 to 65535, not "${text}"`);
  return port;
}

function parseMode(text: string): Mode {
  if (text !== 'dev' && text !== 'production') throw new UsageError(`--mode takes dev or production, not "${text}"`);
  return text;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
