import { parseArgs } from 'node:util';

export type Mode = 'dev' | 'production';

export interface Options {
  port: number;
  host: string;
  dataDir: string;
  mode: Mode;
  /** Listen on the port above as well. */
  connectPort: boolean;
  /** A bundled module to run in place of the Worker; used by tests. */
  worker: string | undefined;
  /** End the server when standard input closes, so that a parent that is killed leaves nothing behind. */
  endWithStdin: boolean;
  /** Serve URLs of Inngest apps that are synced now and then. */
  sdkUrls: string[];
  /** Seconds between all retries of Inngest functions; undefined: their own table. */
  retryInterval: number | undefined;
}

export type Command = { kind: 'serve'; options: Options } | { kind: 'help' } | { kind: 'version' };

/** A mistake in the command line or the environment. The message names the flag and the values it takes. */
export class UsageError extends Error {}

export const DEFAULT_PORT = 8288;

export const USAGE = `Usage: repoint [dev|start] [options]

  repoint dev      run the server in development mode (the default)
  repoint start    run the server in production mode
  repoint worker   run a built Trigger.dev project's tasks; see repoint worker --help
  repoint keys     print the keys of a further environment; see repoint keys --help

Options (each also as an environment variable):
  --port <n>       REPOINT_PORT   port to listen on, 0 for a free one   (default ${DEFAULT_PORT})
  --host <addr>    REPOINT_HOST   address to listen on                  (default 127.0.0.1)
  --data <dir>     REPOINT_DATA   directory that keeps all state        (default ./.repoint)
  --mode <mode>    REPOINT_MODE   dev or production                     (default dev; production for "repoint start")
  --sdk-url <url>  INNGEST_SDK_URL  serve URL of an Inngest app to sync, and again every 5 s; may be repeated (-u)
  --retry-interval <s>  REPOINT_RETRY_INTERVAL  seconds between retries of Inngest functions, for tests
  --tick <ms>, --no-discovery  taken, and nothing: no queue is scanned here, and no port is searched for apps
  --connect-port   REPOINT_CONNECT_PORT=1   listen on the port above as well, where Inngest's own server has its Connect gateway
  --help           this text
  --version        the version

Keys are read from the vendors' own variables (INNGEST_SIGNING_KEY, TRIGGER_SECRET_KEY, QSTASH_TOKEN, ...), or follow from
REPOINT_ROOT_SECRET (32 random characters or more) for environments of any name: repoint keys <environment> prints them.
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
  const port = parsePort(values.port ?? nonEmpty(env.REPOINT_PORT) ?? String(DEFAULT_PORT));
  const connectPort = values['connect-port'] ?? env.REPOINT_CONNECT_PORT === '1';
  if (connectPort && (port === 0 || port === 65_535))
    throw new UsageError(`--connect-port needs a --port from 1 to 65534, not ${port}`);
  const fallbackMode = command === 'start' ? 'production' : 'dev';
  return {
    kind: 'serve',
    options: {
      port,
      connectPort,
      host: values.host ?? nonEmpty(env.REPOINT_HOST) ?? '127.0.0.1',
      dataDir: values.data ?? nonEmpty(env.REPOINT_DATA) ?? './.repoint',
      mode: parseMode(values.mode ?? (command === 'dev' ? 'dev' : (nonEmpty(env.REPOINT_MODE) ?? fallbackMode))),
      worker: values.worker,
      endWithStdin: values['end-with-stdin'] ?? false,
      sdkUrls: parseUrls(values['sdk-url'] ?? nonEmpty(env.INNGEST_SDK_URL)?.split(/[\s,]+/) ?? []),
      retryInterval: parseSeconds(values['retry-interval'] ?? nonEmpty(env.REPOINT_RETRY_INTERVAL)),
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
        'connect-port': { type: 'boolean' },
        worker: { type: 'string' },
        'sdk-url': { type: 'string', short: 'u', multiple: true },
        'retry-interval': { type: 'string' },
        tick: { type: 'string' },
        'no-discovery': { type: 'boolean' },
        'end-with-stdin': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    throw new UsageError(`${explain(error)}; see repoint --help`);
  }
}

/** Node's own words for a wrong flag, without its advice on flags that are none. */
export function explain(error: unknown): string {
  return (error as Error).message.split('. To specify')[0] as string;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new UsageError(`--port takes a number from 0 to 65535, not "${text}"`);
  return port;
}

function parseUrls(texts: readonly string[]): string[] {
  return texts
    .filter((text) => text !== '')
    .map((text) => {
      // As the vendor's own flag takes it: a port alone, or an address without its scheme.
      const url = /^\d+$/.test(text)
        ? `http://localhost:${text}/api/inngest`
        : text.includes('://')
          ? text
          : `http://${text}`;
      if (!URL.canParse(url) || !/^https?:/.test(url))
        throw new UsageError(`--sdk-url takes an HTTP URL, not "${text}"`);
      return url;
    });
}

function parseSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!(seconds > 0) || !Number.isFinite(seconds))
    throw new UsageError(`--retry-interval takes a number of seconds, not "${text}"`);
  return seconds;
}

function parseMode(text: string): Mode {
  if (text !== 'dev' && text !== 'production') throw new UsageError(`--mode takes dev or production, not "${text}"`);
  return text;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
