import { describe, expect, it } from 'vitest';
import { parseOptions, UsageError, type Options } from './options.ts';

function options(argv: string[], env: Record<string, string> = {}): Options {
  const command = parseOptions(argv, env);
  if (command.kind !== 'serve') throw new Error(`expected serve, not ${command.kind}`);
  return command.options;
}

describe('the command line', () => {
  it('has defaults for everything', () => {
    expect(options([])).toEqual({
      port: 8288,
      host: '127.0.0.1',
      dataDir: './.repoint',
      mode: 'dev',
      connectPort: false,
      worker: undefined,
      endWithStdin: false,
      sdkUrls: [],
      retryInterval: undefined,
    });
  });

  it('takes each option from the environment, and flags win over it', () => {
    const env = { REPOINT_PORT: '9000', REPOINT_HOST: '0.0.0.0', REPOINT_DATA: '/data', REPOINT_MODE: 'production' };
    expect(options([], env)).toMatchObject({ port: 9000, host: '0.0.0.0', dataDir: '/data', mode: 'production' });
    const flags = ['--port', '0', '--host=::1', '--data', 'here', '--mode', 'dev'];
    expect(options(flags, env)).toMatchObject({ port: 0, host: '::1', dataDir: 'here', mode: 'dev' });
  });

  it('listens on the port above as well where that is asked for', () => {
    expect(options(['--connect-port'])).toMatchObject({ port: 8288, connectPort: true });
    expect(options([], { REPOINT_CONNECT_PORT: '1' }).connectPort).toBe(true);
    expect(options([], { REPOINT_CONNECT_PORT: '0' }).connectPort).toBe(false);
  });

  it('treats an empty variable as one that is not set', () => {
    expect(options([], { REPOINT_PORT: '', REPOINT_MODE: '' })).toMatchObject({ port: 8288, mode: 'dev' });
  });

  it('runs in production for "start" and in development for "dev", unless told otherwise', () => {
    expect(options(['start']).mode).toBe('production');
    expect(options(['start', '--mode', 'dev']).mode).toBe('dev');
    expect(options(['dev'], { REPOINT_MODE: 'production' }).mode).toBe('dev');
  });

  it('takes apps to sync as often as they are named: a URL, an address, or a port', () => {
    const argv = [
      'dev',
      '-u',
      'http://127.0.0.1:3000/api/inngest',
      '--sdk-url',
      'localhost:4000/x',
      '-u',
      '5000',
      '--no-discovery',
    ];
    expect(options(argv).sdkUrls).toEqual([
      'http://127.0.0.1:3000/api/inngest',
      'http://localhost:4000/x',
      'http://localhost:5000/api/inngest',
    ]);
    expect(options([], { INNGEST_SDK_URL: 'http://a/x, http://b/y' }).sdkUrls).toEqual(['http://a/x', 'http://b/y']);
  });

  it('takes the flags of a fast development server', () => {
    expect(options(['dev', '--retry-interval', '1', '--tick', '10']).retryInterval).toBe(1);
    expect(() => options(['--retry-interval', 'soon'])).toThrow('--retry-interval takes a number');
  });

  it('knows --help and --version', () => {
    expect(parseOptions(['--help'], {})).toEqual({ kind: 'help' });
    expect(parseOptions(['dev', '--version'], {})).toEqual({ kind: 'version' });
  });

  it.each([
    [['--port', 'abc'], '--port takes a number'],
    [['--port', '65536'], '--port takes a number'],
    [['--port', '0', '--connect-port'], '--connect-port needs a --port from 1 to 65534, not 0'],
    [['--mode', 'test'], '--mode takes dev or production'],
    [['--sdk-url', 'ftp://x'], '--sdk-url takes an HTTP URL'],
    [['--prot', '1'], '--prot'],
    [['serve'], 'unknown command "serve"'],
    [['dev', 'start'], 'unknown command "dev start"'],
  ])('refuses %j and says why', (argv, message) => {
    expect(() => parseOptions(argv, {})).toThrow(UsageError);
    expect(() => parseOptions(argv, {})).toThrow(message);
  });
});
