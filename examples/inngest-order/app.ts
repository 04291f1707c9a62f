import { createServer } from 'node:http';
import { serve } from 'inngest/node';
import { fulfilOrder, inngest } from './functions.ts';

const port = Number(process.env.PORT ?? 3000);

createServer(serve({ client: inngest, functions: [fulfilOrder] })).listen(port, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${port}/api/inngest`);
});
