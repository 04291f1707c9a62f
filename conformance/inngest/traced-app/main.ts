// An app with the SDK's extended tracing, in a process of its own: its provider is the whole process's. Prints its URL when it listens.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Inngest } from 'inngest';
import { extendedTracesMiddleware } from 'inngest/experimental';
import { serve } from 'inngest/node';

const [, , id = 'traced', event = 'traced/go'] = process.argv;
const client = new Inngest({
  id,
  middleware: [extendedTracesMiddleware({ behaviour: 'createProvider', instrumentations: [] })],
});
const traced = client.createFunction({ id: 'traced', triggers: [{ event }] }, async ({ step, tracer }) =>
  step.run('work', () =>
    tracer.startActiveSpan('inside the step', (span) => {
      span.setAttribute('colour', 'red');
      span.end();
      return 'done';
    }),
  ),
);

const server = createServer(serve({ client, functions: [traced] }));
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}/api/inngest`);
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
