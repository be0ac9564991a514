"""The part of Kili's GraphQL schema that the double serves, with documents checked once and executed fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

Plan = tuple[tuple[str, str, "Plan | None"], ...]  # key of the answer, field, plan of its members
Roots = Mapping[str, Callable[..., Any]]

NEW_MUTATION = "setAssetsPriority(where: AssetWhere!, priority: Int!): AssetsPriorityReport!"
SDL = """
scalar PageSize
scalar Date
scalar JSON

type Query {
  viewer: User
  apiKeys(where: ApiKeyWhere!, first: PageSize!, skip: Int!): [ApiKey!]!
  projects(where: ProjectWhere!, first: PageSize!, skip: Int!): [Project!]!
  countProjects(where: ProjectWhere!): Int!
  assets(where: AssetWhere!, first: PageSize!, skip: Int!): [Asset!]!
  countAssets(where: AssetWhere!): Int!
}

type Mutation {
  updatePropertiesInAssets(where: [AssetWhere!]!, data: [AssetData!]!): [Asset!]!
  appendManyLabels(data: AppendManyLabelsData!, where: AssetWhere!): [Label!]!
  NEW_MUTATION
}

type User { id: ID! email: String! }
type ApiKey { id: ID! expiryDate: Date }
type Step { id: ID! name: String! type: String }
type CurrentStep { id: ID! name: String! status: StepStatus! }
type Project {
  id: ID!
  title: String!
  inputType: String!
  workflowVersion: WorkflowVersion!
  steps: [Step!]!
  jsonInterface: JSON
  numberOfAssets: Int!
}
type Asset {
  id: ID!
  externalId: String!
  priority: Int!
  content: String!
  jsonMetadata: String!
  createdAt: Date!
  updatedAt: Date!
  skipped: Boolean!
  isHoneypot: Boolean!
  labels: [Label!]!
  latestLabel: Label
  status: AssetStatus
  currentStep: CurrentStep
  stepGroupName: String
}
type Label {
  id: ID!
  labelType: LabelType!
  createdAt: Date!
  modelName: String
  author: User
  jsonResponse: String
  jsonResponseUrl: String
  skipped: Boolean
}
type AssetsPriorityReport {
  succeeded: [PriorityItem!]!
  declined: [PriorityItem!]!
  failed: [FailedPriorityItem!]!
}
type PriorityItem { assetId: ID! externalId: String! }
type FailedPriorityItem { assetId: ID! externalId: String! details: String }

enum WorkflowVersion { V1 V2 V3 }
enum AssetStatus { TODO ONGOING LABELED TO_REVIEW REVIEWED }
enum StepStatus { TO_DO IN_PROGRESS DOING PARTIALLY_DONE REWORK REDO DONE SKIPPED }
enum LabelType { DEFAULT REVIEW PREDICTION INFERENCE AUTOSAVE }

input ApiKeyWhere { key: String id: ID }
input ProjectWhere { id: ID idIn: [ID!] searchQuery: String archived: Boolean }
input AssetProjectWhere { id: ID! }
input LabelWhere {
  typeIn: [LabelType!]
  labelerIn: [String!]
  authorIn: [String!]
}
input IssueWhere { type: String status: String }
input StepIdAndStatus { stepId: ID! status: StepStatus! }
input AssetWhere {
  id: ID
  project: AssetProjectWhere
  idIn: [ID!]
  idNotIn: [ID!]
  externalIdIn: [String!]
  externalIdStrictlyIn: [String!]
  statusIn: [AssetStatus!]
  stepIdIn: [ID!]
  stepStatusIn: [StepStatus!]
  stepIdAndStatusIn: [StepIdAndStatus!]
  skipped: Boolean
  createdAtGte: Date
  createdAtLte: Date
  updatedAtGte: Date
  updatedAtLte: Date
  metadata: JSON
  label: LabelWhere
  issue: IssueWhere
}
input AssetData { priority: Int jsonMetadata: String }
input AppendManyLabelsData {
  labelType: LabelType!
  overwrite: Boolean
  stepId: ID
  labelsData: [LabelData!]!
}
input LabelData {
  assetID: ID!
  jsonResponse: String!
  modelName: String
  authorID: ID
  clientVersion: Int
  referencedLabelId: ID
  secondsToLabel: Float
}
"""


@lru_cache(maxsize=4)
def schema(has_new_mutation: bool = True, is_raw: bool = False) -> GraphQLSchema:
    """The schema, with or without the mutation of 2026; raw: root fields return whatever value their resolver gives."""
    text = SDL.replace("NEW_MUTATION", NEW_MUTATION if has_new_mutation else "")
    if is_raw:
        roots = re.compile(r"^(type (?:Query|Mutation) \{\n)(.*?)^\}", re.DOTALL | re.MULTILINE)
        text = roots.sub(lambda found: found[1] + re.sub(r"\): .*", "): JSON", found[2]) + "}", text)
        text = text.replace("viewer: User", "viewer: JSON")
    # Directives that newer versions of graphql-core add cannot be read by the version that Kili's client comes with.
    parts = build_schema(text).to_kwargs()
    parts["directives"] = (GraphQLSkipDirective, GraphQLIncludeDirective)
    built = GraphQLSchema(**parts)
    page_size = built.type_map["PageSize"]
    assert isinstance(page_size, GraphQLScalarType)
    setattr(page_size, "parse_value", _page_size)  # noqa: B010
    return built


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was parsed and checked once.

    graphql-core resolves a field of an asset in some 10 us, so that a listing of a million would take minutes. A `plain`
    document (no fragment, directive or introspection) is therefore executed without its selections against the raw
    schema, which still coerces every variable, and `plan` then picks the members.
    """

    node: DocumentNode
    errors: tuple[GraphQLError, ...]
    fields: tuple[str, ...]
    plain: DocumentNode | None
    plan: Plan


@lru_cache(maxsize=256)
def document(text: str, has_new_mutation: bool = True) -> Document:
    """Parse and check a document."""
    try:
        node = parse(text, no_location=True)
    except GraphQLError as error:
        return Document(DocumentNode(definitions=()), (error,), (), None, ())
    errors = tuple(validate(schema(has_new_mutation), node))
    operations = [part for part in node.definitions if isinstance(part, OperationDefinitionNode)]
    selections = operations[0].selection_set.selections if operations else ()
    fields = tuple(part.name.value for part in selections if isinstance(part, FieldNode))
    if errors or len(node.definitions) != 1 or not _is_plain(operations[0].selection_set):
        return Document(node, errors, fields, None, ())
    return Document(node, (), fields, _stripped(operations[0]), _plan(operations[0].selection_set))


def execute(found: Document, roots: Roots, variables: Any, has_new_mutation: bool) -> tuple[Any, list[GraphQLError]]:
    """Run a checked document; returns data and errors."""
    if found.plain is None:
        result = execute_sync(schema(has_new_mutation), found.node, roots, variable_values=variables)
        return result.data, list(result.errors or ())
    result = execute_sync(schema(has_new_mutation, is_raw=True), found.plain, roots, variable_values=variables)
    if result.errors or result.data is None:
        return None, list(result.errors or ())
    return {key: _pick(result.data[key], members) for key, _, members in found.plan}, []


def _pick(value: Any, plan: Plan | None) -> Any:
    if plan is None or value is None:
        return value
    if isinstance(value, Sequence):
        return [_pick(member, plan) for member in value]
    return {key: value[name] if members is None else _pick(value[name], members) for key, name, members in plan}


def _is_plain(selections: SelectionSetNode) -> bool:
    return all(
        isinstance(part, FieldNode)
        and not part.directives
        and not part.name.value.startswith("__")
        and (part.selection_set is None or _is_plain(part.selection_set))
        for part in selections.selections
    )


def _plan(selections: SelectionSetNode) -> Plan:
    fields = [part for part in selections.selections if isinstance(part, FieldNode)]
    return tuple(
        (
            part.alias.value if part.alias else part.name.value,
            part.name.value,
            _plan(part.selection_set) if part.selection_set else None,
        )
        for part in fields
    )


def _stripped(operation: OperationDefinitionNode) -> DocumentNode:
    fields = [part for part in operation.selection_set.selections if isinstance(part, FieldNode)]
    bare = tuple(FieldNode(alias=part.alias, name=part.name, arguments=part.arguments, directives=()) for part in fields)
    return DocumentNode(
        definitions=(
            OperationDefinitionNode(
                operation=operation.operation,
                name=operation.name,
                variable_definitions=operation.variable_definitions,
                directives=(),
                selection_set=SelectionSetNode(selections=bare),
            ),
        )
    )


def _page_size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise GraphQLError(f"PageSize cannot represent {value!r}")
    return value
