import { setTimeout as delay } from 'node:timers/promises';

const attempted = new Set<string>();

/** A customer database that refuses the first attempt for an address. */
export async function createAccount(email: string): Promise<{ accountId: string }> {
  await delay(150);
  if (!attempted.has(email)) {
    attempted.add(email);
    throw new Error('the customer database is restarting');
  }
  return { accountId: `acc_${email}` };
}

export async function provision(accountId: string, resource: string): Promise<string> {
  await delay(300);
  return `${resource} for ${accountId}`;
}

export async function sendWelcome(email: string): Promise<string> {
  await delay(100);
  return `welcome, ${email}`;
}
