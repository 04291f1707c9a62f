import { expect, test } from 'vitest';
import { LocalServer } from '../testing/local-server.ts';

const SDK = { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' };
const QUERY = `query ($run: ID!) { functionRun(query: { functionRunId: $run }) { status output } }`;

/** What the vendor's query says of a run whose app answers so, and what its API of version 1 does. */
async function failWith(answer: () => Response): Promise<{ output: string; error: { message: string } }> {
  const server = new LocalServer();
  const url = 'http://app.test/api/inngest';
  const steps = { step: { id: 'step', runtime: { type: 'http', url }, retries: { attempts: 0 } } };
  await server.routes.request('/fn/register', {
    method: 'POST',
    body: JSON.stringify({ url, appName: 'app', functions: [{ id: 'app-f', triggers: [{ event: 'go' }], steps }] }),
  });
  server.app = () => Promise.resolve(answer());
  const sent = await server.routes.request('/e/key', { method: 'POST', body: '{"name":"go","data":{"id":1}}' });
  const { ids } = (await sent.json()) as { ids: [string] };
  await server.idle();
  const [run] = await server.runsOf(ids[0]);
  const response = await server.routes.request('/v0/gql', {
    method: 'POST',
    body: JSON.stringify({ query: QUERY, variables: { run: run?.run_id } }),
  });
  const { data } = (await response.json()) as { data: { functionRun: { status: string; output: string } } };
  expect(data.functionRun.status).toBe('FAILED');
  return { output: data.functionRun.output, error: run?.output as { message: string } };
}

test('an answer that is no SDK’s is the output as it came, and the error says what to look at', async () => {
  const { output, error } = await failWith(() => new Response('<html>hi</html>'));
  expect(output).toBe('<html>hi</html>');
  expect(error.message).toMatch(/is not an Inngest SDK's: does the app's serve URL point at its handler\?/);
});

test('an error that only begins like that stays what it is', async () => {
  const thrown = { message: 'The answer (200) is 42', name: 'Error', stack: 'Error: The answer\n  at f' };
  const { output } = await failWith(() => new Response(JSON.stringify(thrown), { status: 500, headers: SDK }));
  expect(JSON.parse(output)).toEqual(thrown);
});

test.each([
  ['event.data.a === async.data.a', 15, '= '],
  ['async.data.b !== 1', 15, '= '],
  ['event.data.a ===async.data.a', 15, '=a'],
])('%s is told in the words of the vendor’s parser', async (expression, column, unknown) => {
  const opcode = { op: 'WaitForEvent', id: 'w', name: 'e', opts: { if: expression, timeout: '1h' } };
  const { output } = await failWith(() => new Response(JSON.stringify([opcode]), { status: 206, headers: SDK }));
  expect(output).toContain('ERROR: \\u003cinput\\u003e:1:');
  expect(JSON.parse(output)).toEqual({
    error: {
      error: 'InvalidExpression: Wait for event If expression failed to compile',
      name: 'InvalidExpression',
      message: 'Wait for event If expression failed to compile',
      stack: `error compiling expression: ERROR: <input>:1:${column + 1}: Syntax error: token recognition error at: '${unknown}'\n | ${expression}\n | ${'.'.repeat(column)}^`,
    },
  });
});

test('another expression that is none is told with its step', async () => {
  const opcode = { op: 'WaitForEvent', id: 'w', name: 'wait', opts: { event: 'e', if: '((', timeout: '1h' } };
  const { output } = await failWith(() => new Response(JSON.stringify([opcode]), { status: 206, headers: SDK }));
  expect((JSON.parse(output) as { error: { stack: string } }).error.stack).toContain('step "wait": "((": ');
});
