import { task } from '@trigger.dev/sdk';

export const nothing = task({ id: 'nothing', run: () => Promise.resolve('done') });
