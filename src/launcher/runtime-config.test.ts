import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { QUEUES } from './queues.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, passedVariables, renderConfig } from './runtime-config.ts';

interface WranglerConfig {
  compatibility_date: string;
  compatibility_flags?: string[];
  vars: Record<string, string>;
  durable_objects: { bindings: { name: string; class_name: string }[] };
  migrations: { new_sqlite_classes: string[] }[];
  services: { binding: string; entrypoint: string }[];
  queues: {
    producers: { binding: string; queue: string }[];
    consumers: Record<string, unknown>[];
  };
}

/** The file has whole-line comments and trailing commas, nothing else beyond JSON. */
function readWranglerConfig(): WranglerConfig {
  const text = readFileSync(new URL('../../wrangler.jsonc', import.meta.url), 'utf8');
  return JSON.parse(text.replace(/^\s*\/\/.*$/gm, '').replace(/,(\s*[}\]])/g, '$1')) as WranglerConfig;
}

function render(overrides: Partial<Parameters<typeof renderConfig>[0]> = {}): string {
  return renderConfig({
    address: '127.0.0.1:0',
    dataDir: '/data',
    workerBundle: '/app/dist/worker.js',
    brokerBundle: '/app/dist/broker.js',
    allowPrivate: true,
    dispatcher: true,
    variables: [],
    queues: QUEUES,
    ...overrides,
  });
}

describe('the configuration of the local runtime', () => {
  it('is the same Worker as in wrangler.jsonc', () => {
    const wrangler = readWranglerConfig();
    const local = render();
    expect(wrangler.compatibility_date).toBe(COMPATIBILITY_DATE);
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect(wrangler.vars.REPOINT_VERSION).toBe((JSON.parse(manifest) as { version: string }).version);
    expect(wrangler.compatibility_flags ?? []).toEqual(COMPATIBILITY_FLAGS);
    for (const { name, class_name } of wrangler.durable_objects.bindings) {
      expect(local).toContain(`(name = "${name}", durableObjectNamespace = "${class_name}")`);
    }
    for (const className of wrangler.migrations.flatMap((migration) => migration.new_sqlite_classes)) {
      expect(local).toMatch(new RegExp(`className = "${className}", uniqueKey = "[a-z-]+", enableSql = true`));
    }
    for (const { binding, entrypoint } of wrangler.services) {
      expect(local).toContain(`(name = "${binding}", service = (name = "main", entrypoint = "${entrypoint}"))`);
    }
    expect(wrangler.queues.producers).toEqual(QUEUES.map(({ binding, name }) => ({ binding, queue: name })));
    expect(wrangler.queues.consumers).toMatchObject(
      QUEUES.map((queue) => ({
        queue: queue.name,
        max_batch_size: queue.maxBatchSize,
        max_retries: queue.maxRetries,
        retry_delay: queue.retryDelaySeconds,
        max_concurrency: queue.maxConcurrency,
        ...(queue.deadLetterQueue ? { dead_letter_queue: queue.deadLetterQueue } : {}),
      })),
    );
  });

  it('listens on one address, and on a second where there is one', () => {
    const http = '(name = "http", address = "127.0.0.1:0", http = (), service = "main")';
    expect(render()).toContain(`sockets = [${http}],`);
    const connect = '(name = "connect", address = "127.0.0.1:8289", http = (), service = "main")';
    expect(render({ connectAddress: '127.0.0.1:8289' })).toContain(`sockets = [${http}, ${connect}],`);
  });

  it('lets user code reach private addresses only where that is allowed', () => {
    expect(render({ allowPrivate: true })).toContain('allow = ["public", "private"]');
    expect(render({ allowPrivate: false })).toContain('allow = ["public"]');
  });

  it('binds the Dispatcher where it is asked for', () => {
    expect(render({ dispatcher: true })).toContain('DISPATCHER');
    expect(render({ dispatcher: false })).not.toContain('DISPATCHER');
  });

  it('names variables and never holds their values', () => {
    const env = {
      INNGEST_SIGNING_KEY: 'signkey-prod-secret',
      QSTASH_TOKEN: 'token',
      REPOINT_URL: 'https://example.com',
      HOME: '/root',
      TRIGGER_UNKNOWN: 'x',
      TRIGGER_SECRET_KEY: undefined,
    };
    expect(passedVariables(env)).toEqual(['INNGEST_SIGNING_KEY', 'QSTASH_TOKEN', 'REPOINT_URL']);
    const local = render({ variables: passedVariables(env) });
    expect(local).toContain('(name = "INNGEST_SIGNING_KEY", fromEnvironment = "INNGEST_SIGNING_KEY")');
    expect(local).not.toContain('secret');
  });

  it('quotes what would end a string', () => {
    expect(render({ dataDir: '/a "quoted" \\ place' })).toContain('path = "/a \\"quoted\\" \\\\ place/objects"');
  });
});
