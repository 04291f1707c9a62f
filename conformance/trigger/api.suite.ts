import { configure, envvars, prompts, query, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite } from '../harness/index.ts';
import { call, SDK, useSdk } from './support.ts';

interface ApiFailure {
  name: string;
  status: number;
  message: string;
}

suite({ vendor: 'trigger', name: 'refusals', sdk: SDK }, (s) => {
  s.beforeAll((context) => useSdk(context));

  const failure = async (work: Promise<unknown>): Promise<ApiFailure> => {
    try {
      await work;
    } catch (error) {
      return error as ApiFailure;
    }
    throw new Error('it was not refused');
  };

  s.case(
    ['T-9', 'T-13'],
    'a task that no worker has registered is a 404 of the SDK, and is not tried again',
    async ({ unique }) => {
      const startedAt = performance.now();
      const error = await failure(tasks.trigger(unique('nobody'), {}));
      expect.equal(error.name, 'TriggerApiError');
      expect.equal(error.status, 404);
      expect.match(error.message, /not found|No project/i);
      expect(performance.now() - startedAt < 900);
    },
  );

  s.case(['T-2', 'T-9'], 'a key that is none is a 401', async (context) => {
    configure({ baseURL: context.url, secretKey: 'not a key' });
    const error = await failure(runs.retrieve('run_01h00000000000000000000000'));
    useSdk(context);
    expect.equal(error.status, 401);
  });

  s.case(['T-9', 'T-19'], 'a run that does not exist is a 404', async () => {
    for (const id of ['run_01h00000000000000000000000', 'run_nonsense'])
      expect.equal((await failure(runs.retrieve(id))).status, 404);
  });

  s.case(
    ['T-9', 'T-96', 'T-97', 'T-98'],
    'what is not served says so once, with a stable code: queries, prompts, webhooks',
    async (context) => {
      const startedAt = performance.now();
      expect.equal((await failure(query.execute('SELECT 1'))).status, 501);
      expect.equal((await failure(prompts.list())).status, 501);
      expect(performance.now() - startedAt < 1_800, 'the SDK did not try again');
      for (const [method, path] of [
        ['POST', '/api/v1/query'],
        ['GET', '/api/v1/query/schema'],
        ['GET', '/api/v1/prompts'],
        ['GET', '/api/v1/webhooks/endpoints'],
      ] as const) {
        const answer = await call(context, method, path);
        expect.deepEqual(
          [answer.status, ((await answer.json()) as { code: string }).code, answer.headers.get('x-should-retry')],
          [501, 'not_served', 'false'],
        );
      }
    },
  );

  s.case(
    ['T-9', 'T-51'],
    "bodies that are malformed, of wrong types or too large are refused in the vendor's shape",
    async (context) => {
      const bodies: Array<[string, number]> = [
        ['{', 400],
        ['[]', 400],
        ['{"options":{"tags":7}}', 400],
        [JSON.stringify({ payload: 'x'.repeat(5 * 1_024 * 1_024) }), 413],
      ];
      for (const [body, status] of bodies) {
        const answer = await call(context, 'POST', '/api/v1/tasks/any/trigger', { body });
        expect.equal(answer.status, status);
        expect.equal(typeof ((await answer.json()) as { error: unknown }).error, 'string');
      }
    },
  );

  s.case(['T-57'], 'environment variables are created, read, changed and deleted', async ({ environment }) => {
    const ref = environment.triggerProjectRef;
    await envvars.create(ref, 'dev', { name: 'COLOUR', value: 'blue' });
    expect.equal((await envvars.retrieve(ref, 'dev', 'COLOUR')).value, 'blue');
    // The SDK's own `update` throws a ReferenceError in 4.8.3.
    await envvars.upload(ref, 'dev', { variables: { COLOUR: 'green' }, override: true });
    await envvars.upload(ref, 'dev', { variables: { COLOUR: 'kept', SHAPE: 'round' }, override: false });
    const listed = await envvars.list(ref, 'dev');
    expect.deepEqual(
      listed.map(({ name, value }) => [name, value]),
      [
        ['COLOUR', 'green'],
        ['SHAPE', 'round'],
      ],
    );
    await envvars.del(ref, 'dev', 'COLOUR');
    expect.equal((await failure(envvars.retrieve(ref, 'dev', 'COLOUR'))).status, 404);
  });

  s.case(['T-8'], 'a browser may ask from any origin and read the token header', async ({ url }) => {
    const preflight = await fetch(`${url}/api/v1/tasks/any/trigger`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-trigger-client',
      },
    });
    expect.equal(preflight.status, 204);
    expect.equal(preflight.headers.get('access-control-allow-origin'), '*');
    expect.match(preflight.headers.get('access-control-allow-headers') ?? '', /x-trigger-client/);
  });
});
