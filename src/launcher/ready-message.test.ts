import { describe, expect, it } from 'vitest';
import { readyMessage } from './ready-message.ts';

const message = (env: Record<string, string>): string =>
  readyMessage({
    url: 'http://127.0.0.1:8288',
    mode: 'production',
    port: 8288,
    version: '0.0.0',
    dataDir: '/data',
    startedInMs: 1,
    env,
  });

describe('what a production server prints when it is ready', () => {
  it('says which vendors are open, which are not, and how to open them', () => {
    const text = message({ INNGEST_EVENT_KEY: 'event', INNGEST_SIGNING_KEY: 'signing', QSTASH_TOKEN: 'token' });
    expect(text).toContain('Inngest      open: INNGEST_BASE_URL=http://127.0.0.1:8288');
    expect(text).toContain(
      'Trigger.dev  closed in the default environment: no TRIGGER_SECRET_KEY, TRIGGER_ACCESS_TOKEN',
    );
    expect(text).toContain('QStash       open in part: no QSTASH_CURRENT_SIGNING_KEY, QSTASH_NEXT_SIGNING_KEY');
    expect(text).toContain('set REPOINT_ROOT_SECRET');
  });

  it('names the command for further environments, and why there are none', () => {
    expect(message({ REPOINT_ROOT_SECRET: 'x'.repeat(32) })).toContain('npx repoint keys <environment>');
    expect(message({ REPOINT_ROOT_SECRET: 'short' })).toContain('has 5 characters, it needs 32');
  });

  it('shows no value', () => {
    const secret = 'do-not-show-this-value-of-a-variable';
    const names = [
      'INNGEST_EVENT_KEY',
      'INNGEST_SIGNING_KEY',
      'TRIGGER_SECRET_KEY',
      'QSTASH_TOKEN',
      'REPOINT_ROOT_SECRET',
    ];
    expect(message(Object.fromEntries(names.map((name) => [name, secret])))).not.toContain(secret);
  });
});
