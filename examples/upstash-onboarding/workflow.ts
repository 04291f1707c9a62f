import { serve } from '@upstash/workflow';
import { createAccount, provision, sendWelcome } from './crm.ts';
import { observe } from './observe.ts';

interface Signup {
  email: string;
}

export const { handler } = serve<Signup>(
  async (context) => {
    const { email } = context.requestPayload;

    const { accountId } = await context.run('create-account', () => createAccount(email));

    await context.sleep('let-replicas-catch-up', 5);

    const resources = await Promise.all(
      ['mailbox', 'storage', 'calendar'].map((name) =>
        context.run(`provision-${name}`, () => provision(accountId, name)),
      ),
    );

    const greeting = await context.run('send-welcome', () => sendWelcome(email));

    return { greeting, resources };
  },
  { middlewares: [observe] },
);
