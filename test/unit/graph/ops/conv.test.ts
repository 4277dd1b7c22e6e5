import { checkOpCases } from '../../../check-op-cases.ts';
import { convCases } from './cases/conv.ts';

checkOpCases('conv', convCases);
