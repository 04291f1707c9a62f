import type { ItemAnswer, ItemPlan, PublishItem } from './item.ts';
import { planMessage } from './message.ts';
import type { Route } from './route.ts';
import { planSchedule } from './schedules.ts';
import { planWorkflowItem } from './workflow.ts';

/** Throws WireError for anything wrong with the item; nothing has been sent then. */
export async function planItem(route: Route, item: PublishItem): Promise<ItemPlan> {
  const options = item.queue === undefined ? item.options : { ...item.options, queue: item.queue };
  const whole = { ...item, options };
  if (options.cron !== undefined) return planSchedule(route, whole);
  if (options.workflow !== undefined) return planWorkflowItem(route, whole);
  return planMessage(route, whole);
}

/** Plans and applies one item in one transaction. */
export async function publishOne(route: Route, item: PublishItem): Promise<ItemAnswer> {
  const { commands, answer } = await planItem(route, item);
  return answer(await route.apply(commands));
}
