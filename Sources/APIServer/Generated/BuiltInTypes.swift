// Written by scripts/embed-schemas. The fields of the built-in kinds of Kubernetes 1.31, one type a line; the form is told there.

enum BuiltInTypes {
    static let text = """
        APIService apiVersion:s kind:s metadata:ObjectMeta spec:APIServiceSpec status:APIServiceStatus
        APIServiceCondition lastTransitionTime:t message:s reason:s status!:s type!:s
        APIServiceSpec caBundle:s group:s groupPriorityMinimum!:i insecureSkipTLSVerify:b service:ApiregistrationV1ServiceReference version:s versionPriority!:i
        APIServiceStatus conditions:[APIServiceCondition
        AWSElasticBlockStoreVolumeSource fsType:s=2 partition:i=3 readOnly:b=4 volumeID!:s=1
        AdmissionregistrationV1ServiceReference name!:s=2 namespace!:s=1 path:s=3 port:i=4
        AdmissionregistrationV1WebhookClientConfig caBundle:y=2 service:AdmissionregistrationV1ServiceReference=1 url:s=3
        Affinity nodeAffinity:NodeAffinity=1 podAffinity:PodAffinity=2 podAntiAffinity:PodAntiAffinity=3
        AggregationRule clusterRoleSelectors:[LabelSelector=1
        ApiextensionsV1ServiceReference name!:s=2 namespace!:s=1 path:s=3 port:i=4
        ApiextensionsV1WebhookClientConfig caBundle:y=2 service:ApiextensionsV1ServiceReference=1 url:s=3
        ApiregistrationV1ServiceReference name:s=2 namespace:s=1 port:i=4
        AppArmorProfile localhostProfile:s=2 type!:s=1
        AttachedVolume devicePath!:s=2 name!:s=1
        AuthenticationV1TokenRequest apiVersion:s kind:s metadata:ObjectMeta=1 spec!:TokenRequestSpec=2 status:TokenRequestStatus=3
        AzureDiskVolumeSource cachingMode:s=3 diskName!:s=1 diskURI!:s=2 fsType:s=4 kind:s=6 readOnly:b=5
        AzureFilePersistentVolumeSource readOnly:b=3 secretName!:s=1 secretNamespace:s=4 shareName!:s=2
        AzureFileVolumeSource readOnly:b=3 secretName!:s=1 shareName!:s=2
        Binding apiVersion:s kind:s metadata:ObjectMeta=1 target!:ObjectReference=2
        BoundObjectReference apiVersion:s=2 kind:s=1 name:s=3 uid:s
        CSIPersistentVolumeSource controllerExpandSecretRef:SecretReference=9 controllerPublishSecretRef:SecretReference=6 driver!:s=1 fsType:s=4 nodeExpandSecretRef:SecretReference=10 nodePublishSecretRef:SecretReference=8 nodeStageSecretRef:SecretReference=7 readOnly:b=3 volumeAttributes:{s=5 volumeHandle!:s=2
        CSIVolumeSource driver!:s=1 fsType:s=3 nodePublishSecretRef:LocalObjectReference=5 readOnly:b=2 volumeAttributes:{s=4
        Capabilities add:[s=1 drop:[s=2
        CephFSPersistentVolumeSource monitors!:[s=1 path:s=2 readOnly:b=6 secretFile:s=4 secretRef:SecretReference=5 user:s=3
        CephFSVolumeSource monitors!:[s=1 path:s=2 readOnly:b=6 secretFile:s=4 secretRef:LocalObjectReference=5 user:s=3
        CinderPersistentVolumeSource fsType:s=2 readOnly:b=3 secretRef:SecretReference=4 volumeID!:s=1
        CinderVolumeSource fsType:s=2 readOnly:b=3 secretRef:LocalObjectReference=4 volumeID!:s=1
        ClientIPConfig timeoutSeconds:i=1
        ClusterRole aggregationRule:AggregationRule=3 apiVersion:s kind:s metadata:ObjectMeta=1 rules:[PolicyRule=2
        ClusterRoleBinding apiVersion:s kind:s metadata:ObjectMeta=1 roleRef!:RoleRef=3 subjects:[RbacV1Subject=2
        ClusterTrustBundleProjection labelSelector:LabelSelector=3 name:s=1 optional:b=5 path!:s=4 signerName:s=2
        Condition lastTransitionTime!:t=4 message!:s=6 observedGeneration:i=3 reason!:s=5 status!:s=2 type!:s=1
        ConfigMap apiVersion:s binaryData:{y=3 data:{s=2 immutable:b=4 kind:s metadata:ObjectMeta=1
        ConfigMapEnvSource name:s=1/1 optional:b=2
        ConfigMapKeySelector key!:s=2 name:s=1/1 optional:b=3
        ConfigMapNodeConfigSource kubeletConfigKey!:s=5 name!:s=2 namespace!:s=1 resourceVersion:s=4 uid:s=3
        ConfigMapProjection items:[KeyToPath=2 name:s=1/1 optional:b=4
        ConfigMapVolumeSource defaultMode:i=3 items:[KeyToPath=2 name:s=1/1 optional:b=4
        Container args:[s=4 command:[s=3 env:[EnvVar=7 envFrom:[EnvFromSource=19 image:s=2 imagePullPolicy:s=14 lifecycle:Lifecycle=12 livenessProbe:Probe=10 name!:s=1 ports:[ContainerPort=6 readinessProbe:Probe=11 resizePolicy:[ContainerResizePolicy=23 resources:ResourceRequirements=8 restartPolicy:s=24 securityContext:SecurityContext=15 startupProbe:Probe=22 stdin:b=16 stdinOnce:b=17 terminationMessagePath:s=13 terminationMessagePolicy:s=20 tty:b=18 volumeDevices:[VolumeDevice=21 volumeMounts:[VolumeMount=9 workingDir:s=5
        ContainerImage names:[s=1 sizeBytes:i=2
        ContainerPort containerPort!:i=3 hostIP:s=5 hostPort:i=2 name:s=1 protocol:s=4
        ContainerResizePolicy resourceName!:s=1 restartPolicy!:s=2
        ContainerResourceMetricSource container!:s=3 name!:s=1 target!:MetricTarget=2
        ContainerResourceMetricStatus container!:s=3 current!:MetricValueStatus=2 name!:s=1
        ContainerState running:ContainerStateRunning=2 terminated:ContainerStateTerminated=3 waiting:ContainerStateWaiting=1
        ContainerStateRunning startedAt:t=1
        ContainerStateTerminated containerID:s=7 exitCode!:i=1 finishedAt:t=6 message:s=4 reason:s=3 signal:i=2 startedAt:t=5
        ContainerStateWaiting message:s=2 reason:s=1
        ContainerStatus allocatedResources:{q=10 allocatedResourcesStatus:[ResourceStatus=14 containerID:s=8 image!:s=6 imageID!:s=7 lastState:ContainerState=3 name!:s=1 ready!:b=4 resources:ResourceRequirements=11 restartCount!:i=5 started:b=9 state:ContainerState=2 user:ContainerUser=13 volumeMounts:[VolumeMountStatus=12
        ContainerUser linux:LinuxContainerUser=1
        ControllerRevision apiVersion:s data:*=2 kind:s metadata:ObjectMeta=1 revision!:i=3
        CoreV1EndpointPort appProtocol:s=4 name:s=1 port!:i=2 protocol:s=3
        CoreV1Event action:s=12 apiVersion:s count:i=8 eventTime:T=10 firstTimestamp:t=6 involvedObject!:ObjectReference=2 kind:s lastTimestamp:t=7 message:s=4 metadata!:ObjectMeta=1 reason:s=3 related:ObjectReference=13 reportingComponent:s=14 reportingInstance:s=15 series:CoreV1EventSeries=11 source:EventSource=5 type:s=9
        CoreV1EventSeries count:i=1 lastObservedTime:T=2
        CronJob apiVersion:s kind:s metadata:ObjectMeta=1 spec:CronJobSpec=2 status:CronJobStatus=3
        CronJobSpec concurrencyPolicy:s=3 failedJobsHistoryLimit:i=7 jobTemplate!:JobTemplateSpec=5 schedule!:s=1 startingDeadlineSeconds:i=2 successfulJobsHistoryLimit:i=6 suspend:b=4 timeZone:s=8
        CronJobStatus active:[ObjectReference=1 lastScheduleTime:t=4 lastSuccessfulTime:t=5
        CrossVersionObjectReference apiVersion:s=3 kind!:s=1 name!:s=2
        CustomResourceColumnDefinition description:s=4 format:s=3 jsonPath!:s=6 name!:s=1 priority:i=5 type!:s=2
        CustomResourceConversion strategy!:s=1 webhook:WebhookConversion=2
        CustomResourceDefinition apiVersion:s kind:s metadata:ObjectMeta=1 spec!:CustomResourceDefinitionSpec=2 status:CustomResourceDefinitionStatus=3
        CustomResourceDefinitionCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        CustomResourceDefinitionNames categories:[s=6 kind!:s=4 listKind:s=5 plural!:s=1 shortNames:[s=3 singular:s=2
        CustomResourceDefinitionSpec conversion:CustomResourceConversion=9 group!:s=1 names!:CustomResourceDefinitionNames=3 preserveUnknownFields:b=10 scope!:s=4 versions!:[CustomResourceDefinitionVersion=7
        CustomResourceDefinitionStatus acceptedNames:CustomResourceDefinitionNames=2 conditions:[CustomResourceDefinitionCondition=1 storedVersions:[s=3
        CustomResourceDefinitionVersion additionalPrinterColumns:[CustomResourceColumnDefinition=6 deprecated:b=7 deprecationWarning:s=8 name!:s=1 schema:CustomResourceValidation=4 selectableFields:[SelectableField=9 served!:b=2 storage!:b=3 subresources:CustomResourceSubresources=5
        CustomResourceSubresourceScale labelSelectorPath:s=3 specReplicasPath!:s=1 statusReplicasPath!:s=2
        CustomResourceSubresources scale:CustomResourceSubresourceScale=2 status:*=1
        CustomResourceValidation openAPIV3Schema:*
        DaemonEndpoint Port!:i=1
        DaemonSet apiVersion:s kind:s metadata:ObjectMeta=1 spec:DaemonSetSpec=2 status:DaemonSetStatus=3
        DaemonSetCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        DaemonSetSpec minReadySeconds:i=4 revisionHistoryLimit:i=6 selector!:LabelSelector=1 template!:PodTemplateSpec=2 updateStrategy:DaemonSetUpdateStrategy=3
        DaemonSetStatus collisionCount:i=9 conditions:[DaemonSetCondition=10 currentNumberScheduled!:i=1 desiredNumberScheduled!:i=3 numberAvailable:i=7 numberMisscheduled!:i=2 numberReady!:i=4 numberUnavailable:i=8 observedGeneration:i=5 updatedNumberScheduled:i=6
        DaemonSetUpdateStrategy rollingUpdate:RollingUpdateDaemonSet=2 type:s=1
        DeleteOptions apiVersion:s dryRun:[s=5 gracePeriodSeconds:i=1 kind:s orphanDependents:b=3 preconditions:Preconditions=2 propagationPolicy:s=4
        Deployment apiVersion:s kind:s metadata:ObjectMeta=1 spec:DeploymentSpec=2 status:DeploymentStatus=3
        DeploymentCondition lastTransitionTime:t=7 lastUpdateTime:t=6 message:s=5 reason:s=4 status!:s=2 type!:s=1
        DeploymentSpec minReadySeconds:i=5 paused:b=7 progressDeadlineSeconds:i=9 replicas:i=1 revisionHistoryLimit:i=6 selector!:LabelSelector=2 strategy:DeploymentStrategy=4 template!:PodTemplateSpec=3
        DeploymentStatus availableReplicas:i=4 collisionCount:i=8 conditions:[DeploymentCondition=6 observedGeneration:i=1 readyReplicas:i=7 replicas:i=2 unavailableReplicas:i=5 updatedReplicas:i=3
        DeploymentStrategy rollingUpdate:RollingUpdateDeployment=2 type:s=1
        DiscoveryV1EndpointPort appProtocol:s=4 name:s=1 port:i=3 protocol:s=2
        DownwardAPIProjection items:[DownwardAPIVolumeFile=1
        DownwardAPIVolumeFile fieldRef:ObjectFieldSelector=2 mode:i=4 path!:s=1 resourceFieldRef:ResourceFieldSelector=3
        DownwardAPIVolumeSource defaultMode:i=2 items:[DownwardAPIVolumeFile=1
        EmptyDirVolumeSource medium:s=1 sizeLimit:q=2
        Endpoint addresses!:[s=1 conditions:EndpointConditions=2 deprecatedTopology:{s=5 hints:EndpointHints=8 hostname:s=3 nodeName:s=6 targetRef:ObjectReference=4 zone:s=7
        EndpointAddress hostname:s=3 ip!:s=1 nodeName:s=4 targetRef:ObjectReference=2
        EndpointConditions ready:b=1 serving:b=2 terminating:b=3
        EndpointHints forZones:[ForZone=1
        EndpointSlice addressType!:s=4 apiVersion:s endpoints!:[Endpoint=2 kind:s metadata:ObjectMeta=1 ports:[DiscoveryV1EndpointPort=3
        EndpointSubset addresses:[EndpointAddress=1 notReadyAddresses:[EndpointAddress=2 ports:[CoreV1EndpointPort=3
        Endpoints apiVersion:s kind:s metadata:ObjectMeta=1 subsets:[EndpointSubset=2
        EnvFromSource configMapRef:ConfigMapEnvSource=2 prefix:s=1 secretRef:SecretEnvSource=3
        EnvVar name!:s=1 value:s=2 valueFrom:EnvVarSource=3
        EnvVarSource configMapKeyRef:ConfigMapKeySelector=3 fieldRef:ObjectFieldSelector=1 resourceFieldRef:ResourceFieldSelector=2 secretKeyRef:SecretKeySelector=4
        EphemeralContainer args:[s=1/4 command:[s=1/3 env:[EnvVar=1/7 envFrom:[EnvFromSource=1/19 image:s=1/2 imagePullPolicy:s=1/14 lifecycle:Lifecycle=1/12 livenessProbe:Probe=1/10 name!:s=1/1 ports:[ContainerPort=1/6 readinessProbe:Probe=1/11 resizePolicy:[ContainerResizePolicy=1/23 resources:ResourceRequirements=1/8 restartPolicy:s=1/24 securityContext:SecurityContext=1/15 startupProbe:Probe=1/22 stdin:b=1/16 stdinOnce:b=1/17 targetContainerName:s=2 terminationMessagePath:s=1/13 terminationMessagePolicy:s=1/20 tty:b=1/18 volumeDevices:[VolumeDevice=1/21 volumeMounts:[VolumeMount=1/9 workingDir:s=1/5
        EphemeralVolumeSource volumeClaimTemplate:PersistentVolumeClaimTemplate=1
        EventSource component:s=1 host:s=2
        EventsV1Event action:s=6 apiVersion:s deprecatedCount:i=15 deprecatedFirstTimestamp:t=13 deprecatedLastTimestamp:t=14 deprecatedSource:EventSource=12 eventTime!:T=2 kind:s metadata:ObjectMeta=1 note:s=10 reason:s=7 regarding:ObjectReference=8 related:ObjectReference=9 reportingController:s=4 reportingInstance:s=5 series:EventsV1EventSeries=3 type:s=11
        EventsV1EventSeries count!:i=1 lastObservedTime!:T=2
        Eviction apiVersion:s deleteOptions:DeleteOptions=2 kind:s metadata:ObjectMeta=1
        ExecAction command:[s=1
        ExternalMetricSource metric!:MetricIdentifier=1 target!:MetricTarget=2
        ExternalMetricStatus current!:MetricValueStatus=2 metric!:MetricIdentifier=1
        FCVolumeSource fsType:s=3 lun:i=2 readOnly:b=4 targetWWNs:[s=1 wwids:[s=5
        FieldSelectorAttributes rawSelector:s=1 requirements:[FieldSelectorRequirement=2
        FieldSelectorRequirement key!:s=1 operator!:s=2 values:[s=3
        FlexPersistentVolumeSource driver!:s=1 fsType:s=2 options:{s=5 readOnly:b=4 secretRef:SecretReference=3
        FlexVolumeSource driver!:s=1 fsType:s=2 options:{s=5 readOnly:b=4 secretRef:LocalObjectReference=3
        FlockerVolumeSource datasetName:s=1 datasetUUID:s=2
        ForZone name!:s=1
        GCEPersistentDiskVolumeSource fsType:s=2 partition:i=3 pdName!:s=1 readOnly:b=4
        GRPCAction port!:i=1 service:s=2
        GitRepoVolumeSource directory:s=3 repository!:s=1 revision:s=2
        GlusterfsPersistentVolumeSource endpoints!:s=1 endpointsNamespace:s=4 path!:s=2 readOnly:b=3
        GlusterfsVolumeSource endpoints!:s=1 path!:s=2 readOnly:b=3
        HPAScalingPolicy periodSeconds!:i=3 type!:s=1 value!:i=2
        HPAScalingRules policies:[HPAScalingPolicy=2 selectPolicy:s=1 stabilizationWindowSeconds:i=3
        HTTPGetAction host:s=3 httpHeaders:[HTTPHeader=5 path:s=1 port!:x=2 scheme:s=4
        HTTPHeader name!:s=1 value!:s=2
        HTTPIngressPath backend!:IngressBackend=2 path:s=1 pathType!:s=3
        HTTPIngressRuleValue paths!:[HTTPIngressPath=1
        HorizontalPodAutoscaler apiVersion:s kind:s metadata:ObjectMeta=1 spec:HorizontalPodAutoscalerSpec=2 status:HorizontalPodAutoscalerStatus=3
        HorizontalPodAutoscalerBehavior scaleDown:HPAScalingRules=2 scaleUp:HPAScalingRules=1
        HorizontalPodAutoscalerCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        HorizontalPodAutoscalerSpec behavior:HorizontalPodAutoscalerBehavior=5 maxReplicas!:i=3 metrics:[MetricSpec=4 minReplicas:i=2 scaleTargetRef!:CrossVersionObjectReference=1
        HorizontalPodAutoscalerStatus conditions:[HorizontalPodAutoscalerCondition=6 currentMetrics:[MetricStatus=5 currentReplicas:i=3 desiredReplicas!:i=4 lastScaleTime:t=2 observedGeneration:i=1
        HostAlias hostnames:[s=2 ip!:s=1
        HostIP ip!:s=1
        HostPathVolumeSource path!:s=1 type:s=2
        IPBlock cidr!:s=1 except:[s=2
        ISCSIPersistentVolumeSource chapAuthDiscovery:b=8 chapAuthSession:b=11 fsType:s=5 initiatorName:s=12 iqn!:s=2 iscsiInterface:s=4 lun!:i=3 portals:[s=7 readOnly:b=6 secretRef:SecretReference=10 targetPortal!:s=1
        ISCSIVolumeSource chapAuthDiscovery:b=8 chapAuthSession:b=11 fsType:s=5 initiatorName:s=12 iqn!:s=2 iscsiInterface:s=4 lun!:i=3 portals:[s=7 readOnly:b=6 secretRef:LocalObjectReference=10 targetPortal!:s=1
        ImageVolumeSource pullPolicy:s=2 reference:s=1
        Ingress apiVersion:s kind:s metadata:ObjectMeta=1 spec:IngressSpec=2 status:IngressStatus=3
        IngressBackend resource:TypedLocalObjectReference=3 service:IngressServiceBackend=4
        IngressClass apiVersion:s kind:s metadata:ObjectMeta=1 spec:IngressClassSpec=2
        IngressClassParametersReference apiGroup:s kind!:s=2 name!:s=3 namespace:s=5 scope:s=4
        IngressClassSpec controller:s=1 parameters:IngressClassParametersReference=2
        IngressLoadBalancerIngress hostname:s=2 ip:s=1 ports:[IngressPortStatus=4
        IngressLoadBalancerStatus ingress:[IngressLoadBalancerIngress=1
        IngressPortStatus error:s=3 port!:i=1 protocol!:s=2
        IngressRule host:s=1 http:HTTPIngressRuleValue=2/1
        IngressServiceBackend name!:s=1 port:ServiceBackendPort=2
        IngressSpec defaultBackend:IngressBackend=1 ingressClassName:s=4 rules:[IngressRule=3 tls:[IngressTLS=2
        IngressStatus loadBalancer:IngressLoadBalancerStatus=1
        IngressTLS hosts:[s=1 secretName:s=2
        Job apiVersion:s kind:s metadata:ObjectMeta=1 spec:JobSpec=2 status:JobStatus=3
        JobCondition lastProbeTime:t=3 lastTransitionTime:t=4 message:s=6 reason:s=5 status!:s=2 type!:s=1
        JobSpec activeDeadlineSeconds:i=3 backoffLimit:i=7 backoffLimitPerIndex:i=12 completionMode:s=9 completions:i=2 managedBy:s=15 manualSelector:b=5 maxFailedIndexes:i=13 parallelism:i=1 podFailurePolicy:PodFailurePolicy=11 podReplacementPolicy:s=14 selector:LabelSelector=4 successPolicy:SuccessPolicy=16 suspend:b=10 template!:PodTemplateSpec=6 ttlSecondsAfterFinished:i=8
        JobStatus active:i=4 completedIndexes:s=7 completionTime:t=3 conditions:[JobCondition=1 failed:i=6 failedIndexes:s=10 ready:i=9 startTime:t=2 succeeded:i=5 terminating:i=11 uncountedTerminatedPods:UncountedTerminatedPods=8
        JobTemplateSpec metadata:ObjectMeta=1 spec:JobSpec=2
        KeyToPath key!:s=1 mode:i=3 path!:s=2
        LabelSelector matchExpressions:[LabelSelectorRequirement=2 matchLabels:{s=1
        LabelSelectorAttributes rawSelector:s=1 requirements:[LabelSelectorRequirement=2
        LabelSelectorRequirement key!:s=1 operator!:s=2 values:[s=3
        Lease apiVersion:s kind:s metadata:ObjectMeta=1 spec:LeaseSpec=2
        LeaseSpec acquireTime:T=3 holderIdentity:s=1 leaseDurationSeconds:i=2 leaseTransitions:i=5 preferredHolder:s=7 renewTime:T=4 strategy:s=6
        Lifecycle postStart:LifecycleHandler=1 preStop:LifecycleHandler=2
        LifecycleHandler exec:ExecAction=1 httpGet:HTTPGetAction=2 sleep:SleepAction=4 tcpSocket:TCPSocketAction=3
        LimitRange apiVersion:s kind:s metadata:ObjectMeta=1 spec:LimitRangeSpec=2
        LimitRangeItem default:{q=4 defaultRequest:{q=5 max:{q=2 maxLimitRequestRatio:{q=6 min:{q=3 type!:s=1
        LimitRangeSpec limits!:[LimitRangeItem=1
        LinuxContainerUser gid!:i=2 supplementalGroups:[i=3 uid!:i=1
        LoadBalancerIngress hostname:s=2 ip:s=1 ipMode:s=3 ports:[PortStatus=4
        LoadBalancerStatus ingress:[LoadBalancerIngress=1
        LocalObjectReference name:s=1
        LocalSubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta=1 spec!:SubjectAccessReviewSpec=2 status:SubjectAccessReviewStatus=3
        LocalVolumeSource fsType:s=2 path!:s=1
        ManagedFieldsEntry apiVersion:s=3 fieldsType:s=6 fieldsV1:*=7 manager:s=1 operation:s=2 subresource:s=8 time:t=4
        MatchCondition expression!:s=2 name!:s=1
        MetricIdentifier name!:s=1 selector:LabelSelector=2
        MetricSpec containerResource:ContainerResourceMetricSource=7 external:ExternalMetricSource=5 object:ObjectMetricSource=2 pods:PodsMetricSource=3 resource:ResourceMetricSource=4 type!:s=1
        MetricStatus containerResource:ContainerResourceMetricStatus=7 external:ExternalMetricStatus=5 object:ObjectMetricStatus=2 pods:PodsMetricStatus=3 resource:ResourceMetricStatus=4 type!:s=1
        MetricTarget averageUtilization:i=4 averageValue:q=3 type!:s=1 value:s=2
        MetricValueStatus averageUtilization:i=3 averageValue:q=2 value:s=1
        ModifyVolumeStatus status!:s=2 targetVolumeAttributesClassName:s=1
        MutatingWebhook admissionReviewVersions!:[s=8 clientConfig!:AdmissionregistrationV1WebhookClientConfig=2 failurePolicy:s=4 matchConditions:[MatchCondition=12 matchPolicy:s=9 name!:s=1 namespaceSelector:LabelSelector=5 objectSelector:LabelSelector=11 reinvocationPolicy:s=10 rules:[RuleWithOperations=3 sideEffects!:s=6 timeoutSeconds:i=7
        MutatingWebhookConfiguration apiVersion:s kind:s metadata:ObjectMeta=1 webhooks:[MutatingWebhook
        NFSVolumeSource path!:s=2 readOnly:b=3 server!:s=1
        Namespace apiVersion:s kind:s metadata:ObjectMeta=1 spec:NamespaceSpec=2 status:NamespaceStatus=3
        NamespaceCondition lastTransitionTime:t=4 message:s=6 reason:s=5 status!:s=2 type!:s=1
        NamespaceSpec finalizers:[s=1
        NamespaceStatus conditions:[NamespaceCondition=2 phase:s=1
        NetworkPolicy apiVersion:s kind:s metadata:ObjectMeta=1 spec:NetworkPolicySpec=2
        NetworkPolicyEgressRule ports:[NetworkPolicyPort=1 to:[NetworkPolicyPeer=2
        NetworkPolicyIngressRule from:[NetworkPolicyPeer=2 ports:[NetworkPolicyPort=1
        NetworkPolicyPeer ipBlock:IPBlock=3 namespaceSelector:LabelSelector=2 podSelector:LabelSelector=1
        NetworkPolicyPort endPort:i=3 port:x=2 protocol:s=1
        NetworkPolicySpec egress:[NetworkPolicyEgressRule=3 ingress:[NetworkPolicyIngressRule=2 podSelector!:LabelSelector=1 policyTypes:[s=4
        Node apiVersion:s kind:s metadata:ObjectMeta=1 spec:NodeSpec=2 status:NodeStatus=3
        NodeAddress address!:s=2 type!:s=1
        NodeAffinity preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm=2 requiredDuringSchedulingIgnoredDuringExecution:NodeSelector=1
        NodeCondition lastHeartbeatTime:t=3 lastTransitionTime:t=4 message:s=6 reason:s=5 status!:s=2 type!:s=1
        NodeConfigSource configMap:ConfigMapNodeConfigSource=2
        NodeConfigStatus active:NodeConfigSource=2 assigned:NodeConfigSource=1 error:s=4 lastKnownGood:NodeConfigSource=3
        NodeDaemonEndpoints kubeletEndpoint:DaemonEndpoint=1
        NodeFeatures supplementalGroupsPolicy:b=1
        NodeRuntimeHandler features:NodeRuntimeHandlerFeatures=2 name:s=1
        NodeRuntimeHandlerFeatures recursiveReadOnlyMounts:b=1 userNamespaces:b=2
        NodeSelector nodeSelectorTerms!:[NodeSelectorTerm=1
        NodeSelectorRequirement key!:s=1 operator!:s=2 values:[s=3
        NodeSelectorTerm matchExpressions:[NodeSelectorRequirement=1 matchFields:[NodeSelectorRequirement=2
        NodeSpec configSource:NodeConfigSource=6 externalID:s=2 podCIDR:s=1 podCIDRs:[s=7 providerID:s=3 taints:[Taint=5 unschedulable:b=4
        NodeStatus addresses:[NodeAddress=5 allocatable:{q=2 capacity:{q=1 conditions:[NodeCondition=4 config:NodeConfigStatus=11 daemonEndpoints:NodeDaemonEndpoints=6 features:NodeFeatures=13 images:[ContainerImage=8 nodeInfo:NodeSystemInfo=7 phase:s=3 runtimeHandlers:[NodeRuntimeHandler=12 volumesAttached:[AttachedVolume=10 volumesInUse:[s=9
        NodeSystemInfo architecture!:s=10 bootID!:s=3 containerRuntimeVersion!:s=6 kernelVersion!:s=4 kubeProxyVersion!:s=8 kubeletVersion!:s=7 machineID!:s=1 operatingSystem!:s=9 osImage!:s=5 systemUUID!:s=2
        NonResourceAttributes path:s=1 verb:s=2
        NonResourceRule nonResourceURLs:[s=2 verbs!:[s=1
        ObjectFieldSelector apiVersion:s=1 fieldPath!:s=2
        ObjectMeta annotations:{s=12 creationTimestamp:t=8 deletionGracePeriodSeconds:i=10 deletionTimestamp:t=9 finalizers:[s=14 generateName:s=2 generation:i=7 labels:{s=11 managedFields:[ManagedFieldsEntry=17 name:s=1 namespace:s=3 ownerReferences:[OwnerReference=13 resourceVersion:s=6 selfLink:s=4 uid:s=5
        ObjectMetricSource describedObject!:CrossVersionObjectReference=1 metric!:MetricIdentifier=3 target!:MetricTarget=2
        ObjectMetricStatus current!:MetricValueStatus=2 describedObject!:CrossVersionObjectReference=3 metric!:MetricIdentifier=1
        ObjectReference apiVersion:s=5 fieldPath:s=7 kind:s=1 name:s=3 namespace:s=2 resourceVersion:s=6 uid:s=4
        OwnerReference apiVersion!:s=5 blockOwnerDeletion:b=7 controller:b=6 kind!:s=1 name!:s=3 uid!:s=4
        PersistentVolume apiVersion:s kind:s metadata:ObjectMeta=1 spec:PersistentVolumeSpec=2 status:PersistentVolumeStatus=3
        PersistentVolumeClaim apiVersion:s kind:s metadata:ObjectMeta=1 spec:PersistentVolumeClaimSpec=2 status:PersistentVolumeClaimStatus=3
        PersistentVolumeClaimCondition lastProbeTime:t=3 lastTransitionTime:t=4 message:s=6 reason:s=5 status!:s=2 type!:s=1
        PersistentVolumeClaimSpec accessModes:[s=1 dataSource:TypedLocalObjectReference=7 dataSourceRef:TypedObjectReference=8 resources:VolumeResourceRequirements=2 selector:LabelSelector=4 storageClassName:s=5 volumeAttributesClassName:s=9 volumeMode:s=6 volumeName:s=3
        PersistentVolumeClaimStatus accessModes:[s=2 allocatedResourceStatuses:{s=7 allocatedResources:{q=5 capacity:{q=3 conditions:[PersistentVolumeClaimCondition=4 currentVolumeAttributesClassName:s=8 modifyVolumeStatus:ModifyVolumeStatus=9 phase:s=1
        PersistentVolumeClaimTemplate metadata:ObjectMeta=1 spec!:PersistentVolumeClaimSpec=2
        PersistentVolumeClaimVolumeSource claimName!:s=1 readOnly:b=2
        PersistentVolumeSpec accessModes:[s=3 awsElasticBlockStore:AWSElasticBlockStoreVolumeSource=2/2 azureDisk:AzureDiskVolumeSource=2/16 azureFile:AzureFilePersistentVolumeSource=2/13 capacity:{q=1 cephfs:CephFSPersistentVolumeSource=2/9 cinder:CinderPersistentVolumeSource=2/8 claimRef:ObjectReference=4 csi:CSIPersistentVolumeSource=2/22 fc:FCVolumeSource=2/10 flexVolume:FlexPersistentVolumeSource=2/12 flocker:FlockerVolumeSource=2/11 gcePersistentDisk:GCEPersistentDiskVolumeSource=2/1 glusterfs:GlusterfsPersistentVolumeSource=2/4 hostPath:HostPathVolumeSource=2/3 iscsi:ISCSIPersistentVolumeSource=2/7 local:LocalVolumeSource=2/20 mountOptions:[s=7 nfs:NFSVolumeSource=2/5 nodeAffinity:VolumeNodeAffinity=9 persistentVolumeReclaimPolicy:s=5 photonPersistentDisk:PhotonPersistentDiskVolumeSource=2/17 portworxVolume:PortworxVolumeSource=2/18 quobyte:QuobyteVolumeSource=2/15 rbd:RBDPersistentVolumeSource=2/6 scaleIO:ScaleIOPersistentVolumeSource=2/19 storageClassName:s=6 storageos:StorageOSPersistentVolumeSource=2/21 volumeAttributesClassName:s=10 volumeMode:s=8 vsphereVolume:VsphereVirtualDiskVolumeSource=2/14
        PersistentVolumeStatus lastPhaseTransitionTime:t=4 message:s=2 phase:s=1 reason:s=3
        PhotonPersistentDiskVolumeSource fsType:s=2 pdID!:s=1
        Pod apiVersion:s kind:s metadata:ObjectMeta=1 spec:PodSpec=2 status:PodStatus=3
        PodAffinity preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm=2 requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm=1
        PodAffinityTerm labelSelector:LabelSelector=1 matchLabelKeys:[s=5 mismatchLabelKeys:[s=6 namespaceSelector:LabelSelector=4 namespaces:[s=2 topologyKey!:s=3
        PodAntiAffinity preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm=2 requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm=1
        PodCondition lastProbeTime:t=3 lastTransitionTime:t=4 message:s=6 reason:s=5 status!:s=2 type!:s=1
        PodDNSConfig nameservers:[s=1 options:[PodDNSConfigOption=3 searches:[s=2
        PodDNSConfigOption name:s=1 value:s=2
        PodDisruptionBudget apiVersion:s kind:s metadata:ObjectMeta=1 spec:PodDisruptionBudgetSpec=2 status:PodDisruptionBudgetStatus=3
        PodDisruptionBudgetSpec maxUnavailable:x=3 minAvailable:x=1 selector:LabelSelector=2 unhealthyPodEvictionPolicy:s=4
        PodDisruptionBudgetStatus conditions:[Condition=7 currentHealthy!:i=4 desiredHealthy!:i=5 disruptedPods:{t=2 disruptionsAllowed!:i=3 expectedPods!:i=6 observedGeneration:i=1
        PodFailurePolicy rules!:[PodFailurePolicyRule=1
        PodFailurePolicyOnExitCodesRequirement containerName:s=1 operator!:s=2 values!:[i=3
        PodFailurePolicyOnPodConditionsPattern status!:s=2 type!:s=1
        PodFailurePolicyRule action!:s=1 onExitCodes:PodFailurePolicyOnExitCodesRequirement=2 onPodConditions:[PodFailurePolicyOnPodConditionsPattern=3
        PodIP ip!:s=1
        PodOS name!:s=1
        PodReadinessGate conditionType!:s=1
        PodResourceClaim name!:s=1 resourceClaimName:s=3 resourceClaimTemplateName:s=4
        PodResourceClaimStatus name!:s=1 resourceClaimName:s=2
        PodSchedulingGate name!:s=1
        PodSecurityContext appArmorProfile:AppArmorProfile=11 fsGroup:i=5 fsGroupChangePolicy:s=9 runAsGroup:i=6 runAsNonRoot:b=3 runAsUser:i=2 seLinuxOptions:SELinuxOptions=1 seccompProfile:SeccompProfile=10 supplementalGroups:[i=4 supplementalGroupsPolicy:s=12 sysctls:[Sysctl=7 windowsOptions:WindowsSecurityContextOptions=8
        PodSpec activeDeadlineSeconds:i=5 affinity:Affinity=18 automountServiceAccountToken:b=21 containers!:[Container=2 dnsConfig:PodDNSConfig=26 dnsPolicy:s=6 enableServiceLinks:b=30 ephemeralContainers:[EphemeralContainer=34 hostAliases:[HostAlias=23 hostIPC:b=13 hostNetwork:b=11 hostPID:b=12 hostUsers:b=37 hostname:s=16 imagePullSecrets:[LocalObjectReference=15 initContainers:[Container=20 nodeName:s=10 nodeSelector:{s=7 os:PodOS=36 overhead:{q=32 preemptionPolicy:s=31 priority:i=25 priorityClassName:s=24 readinessGates:[PodReadinessGate=28 resourceClaims:[PodResourceClaim=39 restartPolicy:s=3 runtimeClassName:s=29 schedulerName:s=19 schedulingGates:[PodSchedulingGate=38 securityContext:PodSecurityContext=14 serviceAccount:s=9 serviceAccountName:s=8 setHostnameAsFQDN:b=35 shareProcessNamespace:b=27 subdomain:s=17 terminationGracePeriodSeconds:i=4 tolerations:[Toleration=22 topologySpreadConstraints:[TopologySpreadConstraint=33 volumes:[Volume=1
        PodStatus conditions:[PodCondition=2 containerStatuses:[ContainerStatus=8 ephemeralContainerStatuses:[ContainerStatus=13 hostIP:s=5 hostIPs:[HostIP=16 initContainerStatuses:[ContainerStatus=10 message:s=3 nominatedNodeName:s=11 phase:s=1 podIP:s=6 podIPs:[PodIP=12 qosClass:s=9 reason:s=4 resize:s=14 resourceClaimStatuses:[PodResourceClaimStatus=15 startTime:t=7
        PodTemplate apiVersion:s kind:s metadata:ObjectMeta=1 template:PodTemplateSpec=2
        PodTemplateSpec metadata:ObjectMeta=1 spec:PodSpec=2
        PodsMetricSource metric!:MetricIdentifier=1 target!:MetricTarget=2
        PodsMetricStatus current!:MetricValueStatus=2 metric!:MetricIdentifier=1
        PolicyRule apiGroups:[s=2 nonResourceURLs:[s=5 resourceNames:[s=4 resources:[s=3 verbs!:[s=1
        PortStatus error:s=3 port!:i=1 protocol!:s=2
        PortworxVolumeSource fsType:s=2 readOnly:b=3 volumeID!:s=1
        Preconditions resourceVersion:s=2 uid:s=1
        PreferredSchedulingTerm preference!:NodeSelectorTerm=2 weight!:i=1
        PriorityClass apiVersion:s description:s=4 globalDefault:b=3 kind:s metadata:ObjectMeta=1 preemptionPolicy:s=5 value!:i=2
        Probe exec:ExecAction=1/1 failureThreshold:i=6 grpc:GRPCAction=1/4 httpGet:HTTPGetAction=1/2 initialDelaySeconds:i=2 periodSeconds:i=4 successThreshold:i=5 tcpSocket:TCPSocketAction=1/3 terminationGracePeriodSeconds:i=7 timeoutSeconds:i=3
        ProjectedVolumeSource defaultMode:i=2 sources:[VolumeProjection=1
        QuobyteVolumeSource group:s=5 readOnly:b=3 registry!:s=1 tenant:s=6 user:s=4 volume!:s=2
        RBDPersistentVolumeSource fsType:s=3 image!:s=2 keyring:s=6 monitors!:[s=1 pool:s=4 readOnly:b=8 secretRef:SecretReference=7 user:s=5
        RBDVolumeSource fsType:s=3 image!:s=2 keyring:s=6 monitors!:[s=1 pool:s=4 readOnly:b=8 secretRef:LocalObjectReference=7 user:s=5
        RbacV1Subject apiGroup:s=2 kind!:s=1 name!:s=3 namespace:s=4
        ReplicaSet apiVersion:s kind:s metadata:ObjectMeta=1 spec:ReplicaSetSpec=2 status:ReplicaSetStatus=3
        ReplicaSetCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        ReplicaSetSpec minReadySeconds:i=4 replicas:i=1 selector!:LabelSelector=2 template:PodTemplateSpec=3
        ReplicaSetStatus availableReplicas:i=5 conditions:[ReplicaSetCondition=6 fullyLabeledReplicas:i=2 observedGeneration:i=3 readyReplicas:i=4 replicas!:i=1
        ReplicationController apiVersion:s kind:s metadata:ObjectMeta=1 spec:ReplicationControllerSpec=2 status:ReplicationControllerStatus=3
        ReplicationControllerCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        ReplicationControllerSpec minReadySeconds:i=4 replicas:i=1 selector:{s=2 template:PodTemplateSpec=3
        ReplicationControllerStatus availableReplicas:i=5 conditions:[ReplicationControllerCondition=6 fullyLabeledReplicas:i=2 observedGeneration:i=3 readyReplicas:i=4 replicas!:i=1
        ResourceAttributes fieldSelector:FieldSelectorAttributes=8 group:s=3 labelSelector:LabelSelectorAttributes=9 name:s=7 namespace:s=1 resource:s=5 subresource:s=6 verb:s=2 version:s=4
        ResourceClaim name!:s=1 request:s=2
        ResourceFieldSelector containerName:s=1 divisor:q=3 resource!:s=2
        ResourceHealth health:s=2 resourceID!:s=1
        ResourceMetricSource name!:s=1 target!:MetricTarget=2
        ResourceMetricStatus current!:MetricValueStatus=2 name!:s=1
        ResourceQuota apiVersion:s kind:s metadata:ObjectMeta=1 spec:ResourceQuotaSpec=2 status:ResourceQuotaStatus=3
        ResourceQuotaSpec hard:{q=1 scopeSelector:ScopeSelector=3 scopes:[s=2
        ResourceQuotaStatus hard:{q=1 used:{q=2
        ResourceRequirements claims:[ResourceClaim=3 limits:{q=1 requests:{q=2
        ResourceRule apiGroups:[s=2 resourceNames:[s=4 resources:[s=3 verbs!:[s=1
        ResourceStatus name!:s=1 resources:[ResourceHealth=2
        Role apiVersion:s kind:s metadata:ObjectMeta=1 rules:[PolicyRule=2
        RoleBinding apiVersion:s kind:s metadata:ObjectMeta=1 roleRef!:RoleRef=3 subjects:[RbacV1Subject=2
        RoleRef apiGroup!:s=1 kind!:s=2 name!:s=3
        RollingUpdateDaemonSet maxSurge:x=2 maxUnavailable:x=1
        RollingUpdateDeployment maxSurge:x=2 maxUnavailable:x=1
        RollingUpdateStatefulSetStrategy maxUnavailable:x=2 partition:i=1
        RuleWithOperations apiGroups:[s=2/1 apiVersions:[s=2/2 operations:[s=1 resources:[s=2/3 scope:s=2/4
        SELinuxOptions level:s=4 role:s=2 type:s=3 user:s=1
        Scale apiVersion:s kind:s metadata:ObjectMeta=1 spec:ScaleSpec=2 status:ScaleStatus
        ScaleIOPersistentVolumeSource fsType:s=9 gateway!:s=1 protectionDomain:s=5 readOnly:b=10 secretRef!:SecretReference=3 sslEnabled:b=4 storageMode:s=7 storagePool:s=6 system!:s=2 volumeName:s=8
        ScaleIOVolumeSource fsType:s=9 gateway!:s=1 protectionDomain:s=5 readOnly:b=10 secretRef!:LocalObjectReference=3 sslEnabled:b=4 storageMode:s=7 storagePool:s=6 system!:s=2 volumeName:s=8
        ScaleSpec replicas:i=1
        ScaleStatus replicas!:i=1 selector:s=2
        ScopeSelector matchExpressions:[ScopedResourceSelectorRequirement=1
        ScopedResourceSelectorRequirement operator!:s=2 scopeName!:s=1 values:[s=3
        SeccompProfile localhostProfile:s=2 type!:s=1
        Secret apiVersion:s data:{y=2 immutable:b=5 kind:s metadata:ObjectMeta=1 stringData:{s=4 type:s=3
        SecretEnvSource name:s=1/1 optional:b=2
        SecretKeySelector key!:s=2 name:s=1/1 optional:b=3
        SecretProjection items:[KeyToPath=2 name:s=1/1 optional:b=4
        SecretReference name:s=1 namespace:s=2
        SecretVolumeSource defaultMode:i=3 items:[KeyToPath=2 optional:b=4 secretName:s=1
        SecurityContext allowPrivilegeEscalation:b=7 appArmorProfile:AppArmorProfile=12 capabilities:Capabilities=1 privileged:b=2 procMount:s=9 readOnlyRootFilesystem:b=6 runAsGroup:i=8 runAsNonRoot:b=5 runAsUser:i=4 seLinuxOptions:SELinuxOptions=3 seccompProfile:SeccompProfile=11 windowsOptions:WindowsSecurityContextOptions=10
        SelectableField jsonPath!:s=1
        SelfSubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta=1 spec!:SelfSubjectAccessReviewSpec=2 status:SubjectAccessReviewStatus=3
        SelfSubjectAccessReviewSpec nonResourceAttributes:NonResourceAttributes=2 resourceAttributes:ResourceAttributes=1
        SelfSubjectReview apiVersion:s kind:s metadata:ObjectMeta=1 status:SelfSubjectReviewStatus=2
        SelfSubjectReviewStatus userInfo:UserInfo=1
        SelfSubjectRulesReview apiVersion:s kind:s metadata:ObjectMeta=1 spec!:SelfSubjectRulesReviewSpec=2 status:SubjectRulesReviewStatus=3
        SelfSubjectRulesReviewSpec namespace:s=1
        Service apiVersion:s kind:s metadata:ObjectMeta=1 spec:ServiceSpec=2 status:ServiceStatus=3
        ServiceAccount apiVersion:s automountServiceAccountToken:b=4 imagePullSecrets:[LocalObjectReference=3 kind:s metadata:ObjectMeta=1 secrets:[ObjectReference=2
        ServiceAccountTokenProjection audience:s=1 expirationSeconds:i=2 path!:s=3
        ServiceBackendPort name:s=1 number:i=2
        ServicePort appProtocol:s=6 name:s=1 nodePort:i=5 port!:i=3 protocol:s=2 targetPort:x=4
        ServiceSpec allocateLoadBalancerNodePorts:b=20 clusterIP:s=3 clusterIPs:[s=18 externalIPs:[s=5 externalName:s=10 externalTrafficPolicy:s=11 healthCheckNodePort:i=12 internalTrafficPolicy:s=22 ipFamilies:[s=19 ipFamilyPolicy:s=17 loadBalancerClass:s=21 loadBalancerIP:s=8 loadBalancerSourceRanges:[s=9 ports:[ServicePort=1 publishNotReadyAddresses:b=13 selector:{s=2 sessionAffinity:s=7 sessionAffinityConfig:SessionAffinityConfig=14 trafficDistribution:s=23 type:s=4
        ServiceStatus conditions:[Condition=2 loadBalancer:LoadBalancerStatus=1
        SessionAffinityConfig clientIP:ClientIPConfig=1
        SleepAction seconds!:i=1
        StatefulSet apiVersion:s kind:s metadata:ObjectMeta=1 spec:StatefulSetSpec=2 status:StatefulSetStatus=3
        StatefulSetCondition lastTransitionTime:t=3 message:s=5 reason:s=4 status!:s=2 type!:s=1
        StatefulSetOrdinals start:i=1
        StatefulSetPersistentVolumeClaimRetentionPolicy whenDeleted:s=1 whenScaled:s=2
        StatefulSetSpec minReadySeconds:i=9 ordinals:StatefulSetOrdinals=11 persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy=10 podManagementPolicy:s=6 replicas:i=1 revisionHistoryLimit:i=8 selector!:LabelSelector=2 serviceName!:s=5 template!:PodTemplateSpec=3 updateStrategy:StatefulSetUpdateStrategy=7 volumeClaimTemplates:[PersistentVolumeClaim=4
        StatefulSetStatus availableReplicas:i=11 collisionCount:i=9 conditions:[StatefulSetCondition=10 currentReplicas:i=4 currentRevision:s=6 observedGeneration:i=1 readyReplicas:i=3 replicas!:i=2 updateRevision:s=7 updatedReplicas:i=5
        StatefulSetUpdateStrategy rollingUpdate:RollingUpdateStatefulSetStrategy=2 type:s=1
        StorageClass allowVolumeExpansion:b=6 allowedTopologies:[TopologySelectorTerm=8 apiVersion:s kind:s metadata:ObjectMeta=1 mountOptions:[s=5 parameters:{s=3 provisioner!:s=2 reclaimPolicy:s=4 volumeBindingMode:s=7
        StorageOSPersistentVolumeSource fsType:s=3 readOnly:b=4 secretRef:ObjectReference=5 volumeName:s=1 volumeNamespace:s=2
        StorageOSVolumeSource fsType:s=3 readOnly:b=4 secretRef:LocalObjectReference=5 volumeName:s=1 volumeNamespace:s=2
        SubjectAccessReview apiVersion:s kind:s metadata:ObjectMeta=1 spec!:SubjectAccessReviewSpec=2 status:SubjectAccessReviewStatus=3
        SubjectAccessReviewSpec extra:{[s=5 groups:[s=4 nonResourceAttributes:NonResourceAttributes=2 resourceAttributes:ResourceAttributes=1 uid:s=6 user:s=3
        SubjectAccessReviewStatus allowed!:b=1 denied:b=4 evaluationError:s=3 reason:s=2
        SubjectRulesReviewStatus evaluationError:s=4 incomplete!:b=3 nonResourceRules!:[NonResourceRule=2 resourceRules!:[ResourceRule=1
        SuccessPolicy rules!:[SuccessPolicyRule=1
        SuccessPolicyRule succeededCount:i=2 succeededIndexes:s=1
        Sysctl name!:s=1 value!:s=2
        TCPSocketAction host:s=2 port!:x=1
        Taint effect!:s=3 key!:s=1 timeAdded:t=4 value:s=2
        TokenRequestSpec audiences!:[s=1 boundObjectRef:BoundObjectReference=3 expirationSeconds:i=4
        TokenRequestStatus expirationTimestamp!:t=2 token!:s=1
        TokenReview apiVersion:s kind:s metadata:ObjectMeta=1 spec!:TokenReviewSpec=2 status:TokenReviewStatus=3
        TokenReviewSpec audiences:[s=2 token:s=1
        TokenReviewStatus audiences:[s=4 authenticated:b=1 error:s=3 user:UserInfo=2
        Toleration effect:s=4 key:s=1 operator:s=2 tolerationSeconds:i=5 value:s=3
        TopologySelectorLabelRequirement key!:s=1 values!:[s=2
        TopologySelectorTerm matchLabelExpressions:[TopologySelectorLabelRequirement=1
        TopologySpreadConstraint labelSelector:LabelSelector=4 matchLabelKeys:[s=8 maxSkew!:i=1 minDomains:i=5 nodeAffinityPolicy:s=6 nodeTaintsPolicy:s=7 topologyKey!:s=2 whenUnsatisfiable!:s=3
        TypedLocalObjectReference apiGroup:s=1 kind!:s=2 name!:s=3
        TypedObjectReference apiGroup:s=1 kind!:s=2 name!:s=3 namespace:s=4
        UncountedTerminatedPods failed:[s=2 succeeded:[s=1
        UserInfo extra:{[s=4 groups:[s=3 uid:s=2 username:s=1
        ValidatingWebhook admissionReviewVersions!:[s=8 clientConfig!:AdmissionregistrationV1WebhookClientConfig=2 failurePolicy:s=4 matchConditions:[MatchCondition=11 matchPolicy:s=9 name!:s=1 namespaceSelector:LabelSelector=5 objectSelector:LabelSelector=10 rules:[RuleWithOperations=3 sideEffects!:s=6 timeoutSeconds:i=7
        ValidatingWebhookConfiguration apiVersion:s kind:s metadata:ObjectMeta=1 webhooks:[ValidatingWebhook
        Volume awsElasticBlockStore:AWSElasticBlockStoreVolumeSource=2/4 azureDisk:AzureDiskVolumeSource=2/22 azureFile:AzureFileVolumeSource=2/18 cephfs:CephFSVolumeSource=2/14 cinder:CinderVolumeSource=2/13 configMap:ConfigMapVolumeSource=2/19 csi:CSIVolumeSource=2/28 downwardAPI:DownwardAPIVolumeSource=2/16 emptyDir:EmptyDirVolumeSource=2/2 ephemeral:EphemeralVolumeSource=2/29 fc:FCVolumeSource=2/17 flexVolume:FlexVolumeSource=2/12 flocker:FlockerVolumeSource=2/15 gcePersistentDisk:GCEPersistentDiskVolumeSource=2/3 gitRepo:GitRepoVolumeSource=2/5 glusterfs:GlusterfsVolumeSource=2/9 hostPath:HostPathVolumeSource=2/1 image:ImageVolumeSource=2/30 iscsi:ISCSIVolumeSource=2/8 name!:s=1 nfs:NFSVolumeSource=2/7 persistentVolumeClaim:PersistentVolumeClaimVolumeSource=2/10 photonPersistentDisk:PhotonPersistentDiskVolumeSource=2/23 portworxVolume:PortworxVolumeSource=2/24 projected:ProjectedVolumeSource=2/26 quobyte:QuobyteVolumeSource=2/21 rbd:RBDVolumeSource=2/11 scaleIO:ScaleIOVolumeSource=2/25 secret:SecretVolumeSource=2/6 storageos:StorageOSVolumeSource=2/27 vsphereVolume:VsphereVirtualDiskVolumeSource=2/20
        VolumeDevice devicePath!:s=2 name!:s=1
        VolumeMount mountPath!:s=3 mountPropagation:s=5 name!:s=1 readOnly:b=2 recursiveReadOnly:s=7 subPath:s=4 subPathExpr:s=6
        VolumeMountStatus mountPath!:s=2 name!:s=1 readOnly:b=3 recursiveReadOnly:s=4
        VolumeNodeAffinity required:NodeSelector=1
        VolumeProjection clusterTrustBundle:ClusterTrustBundleProjection=5 configMap:ConfigMapProjection=3 downwardAPI:DownwardAPIProjection=2 secret:SecretProjection=1 serviceAccountToken:ServiceAccountTokenProjection=4
        VolumeResourceRequirements limits:{q=1 requests:{q=2
        VsphereVirtualDiskVolumeSource fsType:s=2 storagePolicyID:s=4 storagePolicyName:s=3 volumePath!:s=1
        WebhookConversion clientConfig:ApiextensionsV1WebhookClientConfig=2 conversionReviewVersions!:[s=3
        WeightedPodAffinityTerm podAffinityTerm!:PodAffinityTerm=2 weight!:i=1
        WindowsSecurityContextOptions gmsaCredentialSpec:s=2 gmsaCredentialSpecName:s=1 hostProcess:b=4 runAsUserName:s=3
        """
}
