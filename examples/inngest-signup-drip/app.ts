import { createServer } from 'node:http';
import { Inngest } from 'inngest';
import { serve } from 'inngest/node';
import { createDrip } from './drip.ts';

const port = Number(process.env.PORT ?? 3000);
const inngest = new Inngest({ id: 'signup-drip' });
const functions = createDrip(inngest, {
  send: (mail) => Promise.resolve(console.log(`mail to ${mail.to}: ${mail.template}`)),
  opened: (users) => Promise.resolve(console.log(`${users.length} mails were opened`)),
});

createServer(serve({ client: inngest, functions })).listen(port, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${port}/api/inngest`);
});
