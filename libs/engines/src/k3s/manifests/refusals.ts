import { UserError, type Location, type Problem, type Service } from '@boxship/model';

/** Collects what Kubernetes has no word for, each with the place of its key. */
export interface Refusals {
  /** `what` completes "the service "x" …, which a pod cannot have". */
  refuse(service: Service, key: string, what: string, hint: string): void;
  refuseAt(where: Location, message: string, hint: string): void;
  /** Throws when something was refused: NOT_FOR_ENGINE, all at once. */
  end(): void;
}

export function collectRefusals(): Refusals {
  const problems: Problem[] = [];
  const add = (where: Location, message: string, hint: string) => problems.push({ code: 'NOT_FOR_ENGINE', message, hint, where });
  return {
    refuse: ({ name, where, keyPlaces }, key, what, hint) =>
      add(keyPlaces?.[key] ?? where, `the service "${name}" ${what}, which a pod of k3s cannot have`, hint),
    refuseAt: add,
    end() {
      if (problems.length > 0) throw new UserError(problems);
    },
  };
} // prettier-ignore
